//! Every kind of identity gets a token from an authority that looks at what it is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use unscim::model::id::ServicePrincipalId;
use unscim::model::spec::{AppRef, Credential, ManagedIdentity};
use unscim::world::Directory;
use unscim::world::error::{Class, Error};
use unscim::world::graph::GraphDirectory;
use unscim::world::graph::token::{EntraTokens, Machine, TokenSource};
use unscim::world::http::{Api, Http};
use uuid::Uuid;

use crate::service::*;

const CLIENT: Uuid = Uuid::from_u128(2);

fn grant(n: usize) -> Reply {
    ok(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": format!("token-{n}")}))
}

fn refused(code: u32) -> Reply {
    let body = json!({"error": "invalid_client", "error_description": format!("AADSTS{code}: No."), "error_codes": [code]});
    raw(401, body.to_string())
}

fn form(sent: &Sent) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(sent.body.as_bytes()).into_owned().collect()
}

fn query(sent: &Sent) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(sent.query.as_bytes()).into_owned().collect()
}

async fn token(source: &EntraTokens) -> String {
    source.token().await.unwrap().expose_secret().to_owned()
}

fn part(text: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn pair() -> Pair {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(vec!["unscim.example".into()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 2);
    params.not_after = date_time_ymd(2027, 3, 4);
    Pair { certificate: params.self_signed(&key).unwrap(), key }
}

impl Pair {
    fn write(&self, dir: &Path) {
        std::fs::write(dir.join("cert.pem"), self.certificate.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), self.key.serialize_pem()).unwrap();
    }

    /// The claims, once header and signature are found to be this pair's.
    fn claims(&self, assertion: &str) -> Value {
        let parts: Vec<&str> = assertion.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("no JWT") };
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(self.certificate.der()));
        assert_eq!(part(head), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, rcgen::PublicKeyData::der_bytes(&self.key));
        let text = format!("{head}.{claims}");
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).expect("the signature is good");
        part(claims)
    }
}

fn certificate_in(dir: &Path) -> Credential {
    Credential::Certificate { client_id: CLIENT, certificate_file: dir.join("cert.pem"), private_key_file: dir.join("key.pem") }
}

fn certified(dir: &Path, answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> (EntraTokens, Log) {
    let (http, log) = service(Api::Token, answer);
    (EntraTokens::new(http, &entra(certificate_in(dir)), Machine::Imds), log)
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_and_a_renewed_one_is_used_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = pair();
    first.write(dir.path());
    let (source, log) = certified(dir.path(), |_, n| grant(n));
    assert_eq!(token(&source).await, "token-0");
    let sent = form(&log.all()[0]);
    assert_eq!(sent["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!((sent["grant_type"].as_str(), sent["client_id"].clone()), ("client_credentials", CLIENT.to_string()));
    assert_eq!(sent["scope"], "https://graph.example/.default");
    assert!(!sent.contains_key("client_secret"));
    let claims = first.claims(&sent["client_assertion"]);
    let url = format!("https://login.example/{}/oauth2/v2.0/token", Uuid::from_u128(1));
    assert_eq!(claims["aud"], url.as_str());
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
    let second = |name: &str| claims[name].as_i64().unwrap();
    assert!((Timestamp::now().as_second() - second("nbf")).abs() < 60 && second("nbf") == second("iat"));
    assert!((1..=600).contains(&(second("exp") - second("nbf"))));

    let second = pair();
    second.write(dir.path());
    source.forget();
    assert_eq!(token(&source).await, "token-1");
    let again = second.claims(&form(&log.all()[1])["client_assertion"]);
    assert_ne!(again["jti"], claims["jti"]);
    let life = source.credential_life().unwrap();
    assert_eq!((life.begins.to_string(), life.ends.to_string()), ("2026-01-02T00:00:00Z".into(), "2027-03-04T00:00:00Z".into()));
}

#[tokio::test]
async fn both_may_stand_in_one_file_among_others_and_in_the_older_form() {
    let dir = tempfile::tempdir().unwrap();
    let (other, own) = (pair(), pair());
    own.write(dir.path());
    // PKCS#1 is what is inside of PKCS#8, after a head of 26 bytes.
    let old = URL_SAFE_NO_PAD.encode(&own.key.serialized_der()[26..]).replace('-', "+").replace('_', "/");
    let old = format!("{old}{}", "=".repeat((4 - old.len() % 4) % 4));
    let lines: Vec<&str> = old.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let old = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"));
    for key in [own.key.serialize_pem(), old] {
        let all = format!("Bag Attributes\n{key}{}{}", other.certificate.pem(), own.certificate.pem());
        for name in ["cert.pem", "key.pem"] {
            std::fs::write(dir.path().join(name), &all).unwrap();
        }
        let (source, log) = certified(dir.path(), |_, n| grant(n));
        assert_eq!(token(&source).await, "token-0");
        own.claims(&form(&log.all()[0])["client_assertion"]);
    }
}

#[tokio::test]
async fn what_is_no_pair_of_rsa_is_refused_with_a_remedy_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (pair(), pair());
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let sealed = own.key.serialize_pem().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_curve = curve.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let (cert, key) = (own.certificate.pem(), own.key.serialize_pem());
    let cut = key.replacen(&key[200..264], "", 1);
    let cases = [
        (cert.as_str(), curve.as_str(), "Entra takes RSA only"),
        (&cert, &old_curve, "Entra takes RSA only"),
        (&cert, &sealed, "openssl pkey -in"),
        (&cert, &cert, "no private key (PEM) in it"),
        (&cert, &cut, "key.pem"),
        (&key, &key, "no certificate (PEM) in it"),
        (&other.certificate.pem(), &key, "no certificate in it belongs to the key"),
        ("", &key, "no certificate (PEM)"),
    ];
    for (cert, key, words) in cases {
        std::fs::write(dir.path().join("cert.pem"), cert).unwrap();
        std::fs::write(dir.path().join("key.pem"), key).unwrap();
        let (source, log) = certified(dir.path(), |_, n| grant(n));
        let error = source.token().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::File { .. }) && text.contains(words), "{words}: {text}");
        assert!(!text.contains(key.get(60..90).unwrap_or("-----")), "{text}");
        assert_eq!((log.count(), source.credential_life()), (0, None));
    }
    std::fs::write(dir.path().join("key.pem"), [0x30, 0x82, 0xff]).unwrap();
    let error = certified(dir.path(), |_, n| grant(n)).0.token().await.unwrap_err().to_string();
    assert!(error.contains("certificates and keys as PEM"), "{error}");
}

fn federated(file: &Path, answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> (EntraTokens, Log) {
    let (http, log) = service(Api::Token, answer);
    let credential = Credential::Federated { client_id: CLIENT, federated_token_file: file.to_owned() };
    (EntraTokens::new(http, &entra(credential), Machine::Imds), log)
}

fn projected(iat: i64, exp: i64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(json!({"alg": "RS256"})), part(json!({"iat": iat, "exp": exp})), "c2ln")
}

#[tokio::test]
async fn a_federated_token_is_read_anew_for_every_request() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, projected(1_000, 4_600)).unwrap();
    let (source, log) = federated(&file, |_, n| grant(n));
    assert_eq!(token(&source).await, "token-0");
    assert_eq!(source.credential_life().unwrap().ends.as_second(), 4_600);
    std::fs::write(&file, projected(4_000, 7_600) + "\n").unwrap();
    source.forget();
    assert_eq!(token(&source).await, "token-1");
    let life = source.credential_life().unwrap();
    assert_eq!((life.begins.as_second(), life.ends.as_second()), (4_000, 7_600));
    let sent: Vec<String> = log.all().iter().map(|sent| form(sent)["client_assertion"].clone()).collect();
    assert_eq!(sent, [projected(1_000, 4_600), projected(4_000, 7_600)]);
    assert_eq!(form(&log.all()[0])["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    std::fs::write(&file, "opaque").unwrap();
    assert_eq!(source.credential_life(), None);
}

#[tokio::test]
async fn a_refused_assertion_has_its_remedy_and_is_not_hammered() {
    let dir = tempfile::tempdir().unwrap();
    pair().write(dir.path());
    let file = dir.path().join("token");
    std::fs::write(&file, projected(1, 2)).unwrap();
    for (code, words) in [
        (700027, "register its certificate"),
        (700021, "check clientId, tenantId and cloud"),
        (700213, "no federated credential of application"),
        (90002, "check tenantId and cloud"),
    ] {
        for (source, log) in [certified(dir.path(), move |_, _| refused(code)), federated(&file, move |_, _| refused(code))] {
            for _ in 0..4 {
                let error = source.token().await.unwrap_err();
                assert!(error.to_string().contains(words) && error.class() == Class::Denied, "{error}");
            }
            assert_eq!(log.count(), 1);
        }
    }
    let echoing = |sent: &Sent, _: usize| {
        let text = format!("AADSTS5: {} is odd", form(sent)["client_assertion"]);
        raw(400, json!({"error": "invalid_request", "error_description": text}).to_string())
    };
    let error = federated(&file, echoing).0.token().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&projected(1, 2)), "{error}");
}

fn managed(
    client: Option<Uuid>,
    machine: Machine,
    answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static,
) -> (EntraTokens, Log) {
    let (http, log) = service(Api::Token, answer);
    let credential = Credential::ManagedIdentity { client_id: client, managed_identity: ManagedIdentity {} };
    (EntraTokens::new(http, &entra(credential), machine), log)
}

#[tokio::test(start_paused = true)]
async fn the_machine_itself_gives_a_token_and_its_troubles_are_waited_out() {
    let answers = |_: &Sent, n: usize| match n {
        0 => raw(404, ""),
        1 => raw(410, ""),
        2 => raw(429, "").with("retry-after", "9"),
        3 => raw(500, "<html>"),
        _ => ok(json!({"token_type": "Bearer", "expires_in": "3599", "expires_on": "1", "access_token": format!("token-{n}")})),
    };
    let (source, log) = managed(None, Machine::Imds, answers);
    let begun = tokio::time::Instant::now();
    assert_eq!(token(&source).await, "token-4");
    assert_eq!(begun.elapsed().as_secs(), 2 + 4 + 9 + 16);
    for sent in log.all() {
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/metadata/identity/oauth2/token"));
        assert_eq!(sent.header("metadata"), "true");
        assert_eq!(
            query(&sent),
            BTreeMap::from([("api-version".into(), "2018-02-01".into()), ("resource".into(), "https://graph.example".into())])
        );
    }
    assert_eq!(source.credential_life(), None);
    // The end is counted from when this token was asked for.
    tokio::time::advance(Duration::from_secs(3298)).await;
    assert_eq!(token(&source).await, "token-4");

    let (source, log) = managed(None, Machine::Imds, |_, _| raw(410, ""));
    let begun = tokio::time::Instant::now();
    assert!(source.token().await.is_err());
    assert!(begun.elapsed().as_secs() >= 70 && log.count() == 7, "{:?}", begun.elapsed());
    for status in [400, 403] {
        let refusal = json!({"error": "invalid_request", "error_description": "Identity not found"}).to_string();
        let (source, log) = managed(Some(CLIENT), Machine::Imds, move |_, _| raw(status, refusal.clone()));
        let error = source.token().await.unwrap_err();
        assert!(error.to_string().contains("Identity not found; give this machine or pod a managed identity"), "{error}");
        assert_eq!((log.count(), query(&log.all()[0])["client_id"].clone()), (1, CLIENT.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_old_token_lives_nobody_waits_for_the_machine() {
    let (source, log) = managed(None, Machine::Imds, |_, n| if n == 0 { grant(n) } else { raw(500, "") });
    assert_eq!(token(&source).await, "token-0");
    tokio::time::advance(Duration::from_secs(3400)).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(token(&source).await, "token-0");
    assert_eq!((begun.elapsed().as_secs(), log.count()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn an_app_service_has_an_endpoint_and_a_header_of_its_own() {
    let machine = |endpoint: &str, header: &str| {
        let set = [("IDENTITY_ENDPOINT", endpoint.to_owned()), ("IDENTITY_HEADER", header.to_owned())];
        Machine::from_variables(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.clone()))
    };
    let end = "2026-11-02T11:00:00Z".parse::<Timestamp>().unwrap().as_second().to_string();
    let answer =
        move |_: &Sent, n: usize| ok(json!({"token_type": "Bearer", "expires_on": end, "access_token": format!("token-{n}")}));
    let (source, log) = managed(Some(CLIENT), machine("http://127.0.0.1:41741/msi/token/", "s3cret"), answer);
    assert_eq!(token(&source).await, "token-0");
    let sent = &log.all()[0];
    assert_eq!((sent.path.as_str(), sent.header("x-identity-header"), sent.header("metadata")), ("/msi/token/", "s3cret", ""));
    let asked = query(sent);
    assert_eq!((asked["api-version"].as_str(), asked["resource"].as_str()), ("2019-08-01", "https://graph.example"));
    assert_eq!(asked["client_id"], CLIENT.to_string());
    // The answer's own date says how long that is: an hour.
    tokio::time::advance(Duration::from_secs(3298)).await;
    assert_eq!(token(&source).await, "token-0");
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(token(&source).await, "token-1");

    assert!(!format!("{:?}", machine("http://localhost/x", "s3cret")).contains("s3cret"));
    assert!(matches!(machine("", ""), Machine::Imds));
    for (endpoint, header) in [("http://localhost:40342/arc", ""), ("http://somewhere.example/token", "s3cret"), ("x", "s3cret")]
    {
        let (source, log) = managed(None, machine(endpoint, header), |_, n| grant(n));
        let error = source.token().await.unwrap_err();
        assert!(error.to_string().contains("IDENTITY_ENDPOINT is") && log.count() == 0, "{error}");
    }
}

/// Graph behind the first token is closed; behind the second it opens, or not.
async fn refused_once(credential: Credential, opens: bool) -> (usize, usize, bool) {
    let (tokens, asked) = service(Api::Token, |_, n| grant(n));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let (graph, _): (Http, Log) = service(Api::Graph, move |sent, _| {
        kept.lock().unwrap().push(sent.header("authorization").to_owned());
        if opens && sent.header("authorization") == "Bearer token-1" {
            ok(json!({"id": Uuid::from_u128(0xa), "appId": null, "displayName": "x", "appRoles": []}))
        } else {
            refusal(401, "InvalidAuthenticationToken", "Access token has expired.")
        }
    });
    let source = EntraTokens::new(tokens, &entra(credential), Machine::Imds);
    let directory = GraphDirectory::new(graph, source, ROOT.parse().unwrap(), Arc::new(pace()));
    let read = directory.app(&AppRef::ServicePrincipalId(ServicePrincipalId(Uuid::from_u128(0xa)))).await;
    let sent = seen.lock().unwrap().clone();
    assert_eq!(sent[..2], ["Bearer token-0", "Bearer token-1"]);
    (sent.len(), asked.count(), read.is_ok())
}

#[tokio::test(start_paused = true)]
async fn a_401_drops_the_token_of_every_kind_and_tries_once() {
    let dir = tempfile::tempdir().unwrap();
    pair().write(dir.path());
    let file: PathBuf = dir.path().join("token");
    std::fs::write(&file, projected(1, 2)).unwrap();
    let kinds = [
        Credential::ClientSecret { client_id: CLIENT, client_secret_file: file.clone() },
        certificate_in(dir.path()),
        Credential::Federated { client_id: CLIENT, federated_token_file: file },
        Credential::ManagedIdentity { client_id: None, managed_identity: ManagedIdentity {} },
    ];
    for credential in kinds {
        assert_eq!(refused_once(credential.clone(), true).await, (2, 2, true), "{credential:?}");
        assert_eq!(refused_once(credential.clone(), false).await, (2, 2, false), "{credential:?}");
    }
}
