//! Getting a token: cached, replaced early, and every refusal a sentence with a remedy and without the secret.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use unscim::model::spec::Credential;
use unscim::world::error::Error;
use unscim::world::graph::token::{EntraTokens, Machine, TokenSource};
use unscim::world::http::Api;
use uuid::Uuid;

use crate::service::*;

const SECRET: &str = "s3cr&t+~=";
const ENCODED: &str = "s3cr%26t%2B%7E%3D";

struct Set {
    source: EntraTokens,
    log: Log,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

fn set(answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> Set {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let (http, log) = service(Api::Token, answer);
    let credential = Credential::ClientSecret { client_id: Uuid::from_u128(2), client_secret_file: file.clone() };
    let source = EntraTokens::new(http, &entra(credential), Machine::Imds);
    Set { source, log, file, _dir: dir }
}

fn grant(n: usize, expires_in: Value) -> Reply {
    ok(json!({"token_type": "Bearer", "expires_in": expires_in, "access_token": format!("token-{n}")}))
}

fn refused(code: u32) -> Reply {
    let text = format!("AADSTS{code}: Something with {SECRET} or {ENCODED}. Trace ID: x\r\nCorrelation ID: y");
    raw(401, json!({"error": "invalid_client", "error_description": text, "error_codes": [code]}).to_string())
}

async fn token(set: &Set) -> String {
    set.source.token().await.unwrap().expose_secret().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_once_and_replaced_five_minutes_early() {
    let set = set(|_, n| grant(n, json!(3599)));
    assert_eq!((token(&set).await, token(&set).await), ("token-0".into(), "token-0".into()));
    tokio::time::advance(Duration::from_secs(3298)).await;
    assert_eq!(token(&set).await, "token-0");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&set).await, "token-1");
    set.source.forget();
    assert_eq!(token(&set).await, "token-2");
    let sent = &set.log.all()[0];
    assert_eq!(sent.path, format!("/{}/oauth2/v2.0/token", Uuid::from_u128(1)));
    let pairs = url::form_urlencoded::parse(sent.body.as_bytes()).into_owned();
    let pairs: std::collections::BTreeMap<String, String> = pairs.collect();
    assert_eq!((pairs["client_secret"].as_str(), pairs["grant_type"].as_str()), (SECRET, "client_credentials"));
    assert_eq!(pairs["scope"], "https://graph.example/.default");
}

#[tokio::test(start_paused = true)]
async fn the_old_token_serves_while_it_lives_and_not_longer() {
    let set = set(|_, n| if n == 0 { grant(n, json!("3600")) } else { raw(503, "<html>") });
    assert_eq!(token(&set).await, "token-0");
    tokio::time::advance(Duration::from_secs(3400)).await;
    assert_eq!((token(&set).await, token(&set).await), ("token-0".into(), "token-0".into()));
    assert_eq!(set.log.count(), 2);
    tokio::time::advance(Duration::from_secs(201)).await;
    let error = set.source.token().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 503, .. }), "{error}");
}

#[tokio::test]
async fn every_known_refusal_has_its_remedy_and_no_secret() {
    for (code, remedy) in [
        (7000215, "the secret's value, not its id"),
        (7000222, "has expired; create a new one"),
        (700016, "check clientId and tenantId"),
        (90002, "check tenantId and cloud"),
        (700027, "register its certificate"),
        (700021, "subject or audience"),
        (700023, "subject or audience"),
        (53003, "a Conditional Access policy"),
        (50001, "AADSTS50001"),
    ] {
        let error = set(move |_, _| refused(code)).source.token().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Credential { code: Some(found), .. } if found == code), "{text}");
        assert!(text.contains(remedy), "{text}");
        assert!(!text.contains(SECRET) && !text.contains(ENCODED) && !text.contains("Trace"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_not_hammered_but_a_new_one_is_tried_at_once() {
    let set = set(|sent, n| if sent.body.contains("fresh") { grant(n, json!(3599)) } else { refused(7000222) });
    for _ in 0..5 {
        assert!(matches!(set.source.token().await.unwrap_err(), Error::Credential { code: Some(7000222), .. }));
    }
    assert_eq!(set.log.count(), 1);
    std::fs::write(&set.file, "fresh").unwrap();
    assert_eq!(token(&set).await, "token-1");
}

#[tokio::test]
async fn odd_answers_are_named() {
    let replies: [fn() -> Reply; 5] = [
        || raw(200, "<html>"),
        || ok(json!({"token_type": "Bearer", "expires_in": 3599})),
        || ok(json!({"token_type": "Bearer", "access_token": "leaky"})),
        || ok(json!({"token_type": "pop", "access_token": "leaky", "expires_in": 3599})),
        || raw(200, r#"{"access_token":"leaky""#),
    ];
    for reply in replies {
        let error = set(move |_, _| reply()).source.token().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(!format!("{error:?}").contains("leaky"));
    }
    let error = set(|_, _| raw(429, "").with("retry-after", "9")).source.token().await.unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_or_empty_secret_file_is_named() {
    let set = set(|_, n| grant(n, json!(3599)));
    std::fs::write(&set.file, "\n").unwrap();
    assert!(matches!(set.source.token().await.unwrap_err(), Error::File { .. }));
    std::fs::remove_file(&set.file).unwrap();
    let error = set.source.token().await.unwrap_err();
    assert!(error.to_string().contains(&set.file.display().to_string()), "{error}");
    assert_eq!(set.log.count(), 0);
}
