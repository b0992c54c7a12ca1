//! The SCIM client against the practice app and against answers that no good service gives; no sockets.

mod lists;
mod matching;
mod records;
mod tokens;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tower::util::BoxCloneSyncService;
use unscim::model::id::ScimId;
use unscim::model::observed::Observed;
use unscim::model::snapshot::{BodyShape, Calibration, ProbeVerdict, Signature};
use unscim::model::spec::Profile;
use unscim::practice::scim_app::{Quirk, ScimApp};
use unscim::world::Target;
use unscim::world::error::{Class, Error};
use unscim::world::http::{Api, Http, Transport, TransportError, Unobserved, in_process};
use unscim::world::scim::ScimTarget;
use unscim::world::secret::SecretFile;

const TOKEN: &str = "tok3n-Abc-0123456789";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// An app, a token file and a client of both.
struct Stage {
    app: ScimApp,
    file: NamedTempFile,
    target: ScimTarget,
}

fn stage(users: usize) -> Stage {
    let app = ScimApp::new(TOKEN.into());
    for n in 0..users {
        app.seed_user(json!({"userName": format!("user{n:03}@contoso.example"), "active": n % 2 == 0}));
    }
    app.seed_group(json!({"id": "g/1 ü", "displayName": "IT", "members": [{"value": "x"}]}));
    let file = token_file(TOKEN);
    let target = target(in_process(Router::new().nest("/scim/v2", app.router())), &file);
    Stage { app, file, target }
}

fn token_file(token: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token).unwrap();
    file
}

fn target(transport: Transport, file: &NamedTempFile) -> ScimTarget {
    let http = Http::new(transport, Api::Scim, Duration::from_secs(30), Arc::new(Unobserved));
    let base = "https://app.example/scim/v2/?aadOptscim062020".parse().unwrap();
    ScimTarget::new(http, base, SecretFile::new(file.path().to_owned()), Profile::Generic)
}

/// A service that gives the same answer to everything.
fn says(status: u16, body: impl Into<String>) -> (ScimTarget, NamedTempFile) {
    let body: String = body.into();
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let file = token_file(TOKEN);
    (target(in_process(Router::new().fallback(move || async move { (status, body) })), &file), file)
}

fn known_id(app: &ScimApp) -> ScimId {
    ScimId::from(app.users()[0]["id"].as_str().unwrap().to_owned())
}

fn keeps_the_token(seen: &(impl Debug + ?Sized)) {
    let text = format!("{seen:?}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[tokio::test]
async fn every_user_and_group_is_read_over_all_pages() {
    let stage = stage(250);
    let users = stage.target.users(None).await.unwrap().records;
    let expected: BTreeSet<String> = stage.app.users().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(users.keys().map(|id| id.to_string()).collect::<BTreeSet<_>>(), expected);
    assert_eq!(users.values().filter(|user| user.active == Some(true)).count(), 125);
    let groups = stage.target.groups().await.unwrap().records;
    assert_eq!(groups[&ScimId::from("g/1 ü")].display_name.as_deref(), Some("IT"));
}

#[tokio::test]
async fn an_app_without_groups_gives_an_empty_list() {
    let app = ScimApp::new(TOKEN.into());
    let file = token_file(TOKEN);
    let target = target(in_process(Router::new().nest("/scim/v2", app.router())), &file);
    assert!(target.groups().await.unwrap().records.is_empty());
}

#[tokio::test]
async fn quirks_that_lose_nobody_change_nothing() {
    for quirks in [
        vec![Quirk::IgnoresPaging],
        vec![Quirk::IgnoresPaging, Quirk::TotalIsPageLength],
        vec![Quirk::IgnoresFilter],
        vec![Quirk::PageCap(3)],
        vec![Quirk::TotalAsString],
        vec![Quirk::NoTotal],
        vec![Quirk::TotalIsPageLength],
        vec![Quirk::RepeatsLastPage],
        vec![Quirk::RepeatsLastPage, Quirk::PageCap(3)],
        vec![Quirk::PagesOverlap, Quirk::PageCap(3)],
        vec![Quirk::Cursors],
        vec![Quirk::Cursors, Quirk::PageCap(3)],
        vec![Quirk::LowerCaseKeys],
        vec![Quirk::StringActive],
        vec![Quirk::NoSchemas],
        vec![Quirk::OtherSchema],
        vec![Quirk::OtherSchema, Quirk::PageCap(3)],
    ] {
        let stage = stage(10);
        let before = stage.target.users(None).await.unwrap().records;
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        assert_eq!(
            stage.target.users(None).await.unwrap_or_else(|error| panic!("{quirks:?}: {error}")).records,
            before,
            "{quirks:?}"
        );
        assert_eq!(stage.target.groups().await.unwrap().records.len(), 1, "{quirks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_is_an_error_and_never_a_short_list() {
    for (quirks, label, words) in [
        (vec![Quirk::NoResources], "incomplete", "ended after 0 of 10"),
        (vec![Quirk::Drops("three".into())], "incomplete", "ended after 9 of 10"),
        (vec![Quirk::TotalIsPageLength, Quirk::PageCap(3)], "incomplete", "totalResults"),
        (vec![Quirk::RepeatsLastPage, Quirk::NoTotal], "incomplete", "repeats itself"),
        (vec![Quirk::NoSchemas, Quirk::NoTotal], "malformed", "ListResponse"),
        (vec![Quirk::Truncated], "malformed", "breaks off"),
        (vec![Quirk::Html(200)], "malformed", "answers HTML: is this the SCIM base URL"),
        (vec![Quirk::Html(500)], "refused", "500 internal server error: an HTML page"),
        (vec![Quirk::Firewall], "denied", "403 forbidden"),
        (vec![Quirk::Redirect], "refused", "redirects to login.example, which is never followed"),
        (vec![Quirk::Unavailable], "refused", "503"),
        (vec![Quirk::Throttled(7)], "throttled", "retry after 7s"),
    ] {
        let stage = stage(9);
        stage.app.seed_user(json!({"id": "three", "userName": "three@contoso.example"}));
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let error = stage.target.users(None).await.unwrap_err();
        assert_eq!(error.label(), label, "{quirks:?}: {error}");
        assert!(error.to_string().contains(words), "{quirks:?}: {error}");
        assert!(error.to_string().starts_with("listing https://app.example/scim/v2/Users: "), "{error}");
        keeps_the_token(&error);
    }
}

#[tokio::test(start_paused = true)]
async fn one_record_is_known_absent_or_an_error() {
    let stage = stage(2);
    let id = known_id(&stage.app);
    let Observed::Known(user) = stage.target.user(&id, &[]).await.unwrap() else { panic!("not known") };
    assert_eq!((&user.id, user.user_name.as_deref()), (&id, Some("user000@contoso.example")));
    assert!(stage.target.group(&ScimId::from("g/1 ü"), &[]).await.unwrap().is_known());

    let nobody = ScimId::from("nobody");
    assert!(stage.target.user(&nobody, &[]).await.unwrap().is_absent());
    assert!(stage.target.group(&nobody, &[]).await.unwrap().is_absent());
    assert_eq!(stage.target.user(&ScimId::from(".."), &[]).await.unwrap_err().label(), "malformed");

    for (quirk, label) in [
        (Quirk::PlainNotFound, "refused"),
        (Quirk::Html(404), "refused"),
        (Quirk::Html(200), "malformed"),
        (Quirk::Firewall, "denied"),
        (Quirk::Throttled(1), "throttled"),
        (Quirk::Truncated, "refused"),
    ] {
        stage.app.clear_quirks();
        stage.app.set_quirk(quirk.clone());
        assert_eq!(stage.target.user(&nobody, &[]).await.unwrap_err().label(), label, "{quirk:?}");
    }
}

#[tokio::test]
async fn a_dead_token_makes_nobody_absent() {
    let stage = stage(2);
    let id = known_id(&stage.app);
    stage.app.revoke();
    for quirk in [None, Some(Quirk::DeadTokenNotFound)] {
        quirk.into_iter().for_each(|quirk| stage.app.set_quirk(quirk));
        let error = stage.target.user(&id, &[]).await.unwrap_err();
        assert_ne!(error.class(), Class::Gone, "{error}");
    }
}

#[tokio::test]
async fn a_record_must_be_the_one_that_was_asked_for() {
    for (body, words) in [
        (json!({"id": "2", "userName": "b"}), "another id"),
        (json!({"userName": "b"}), "has no id"),
        (json!({"schemas": [LIST], "totalResults": 1, "Resources": [{"id": "1"}]}), "a list where one resource"),
    ] {
        let (target, _file) = says(200, body.to_string());
        let error = target.user(&ScimId::from("1"), &[]).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401"}"#;
    let (target, _file) = says(404, error);
    assert_eq!(target.user(&ScimId::from("1"), &[]).await.unwrap_err().label(), "refused");
}

#[tokio::test]
async fn odd_users_do_not_blind_the_reading() {
    let stage = stage(1);
    stage.app.seed_user(json!({"id": "nameless", "emails": [{"value": "a@contoso.example"}]}));
    stage.app.seed_user(json!({"id": "odd", "userName": 7, "externalId": null, "active": "perhaps"}));
    let users = stage.target.users(None).await.unwrap().records;
    assert_eq!(users[&ScimId::from("nameless")].user_name, None);
    let odd = &users[&ScimId::from("odd")];
    assert_eq!((odd.user_name.as_deref(), odd.active), (Some("7"), None));

    let (target, _file) = says(200, json!({"totalResults": 2, "Resources": [{"id": "1"}, {"userName": "b"}]}).to_string());
    let error = target.users(None).await.unwrap_err();
    assert!(error.to_string().ends_with("entry 2 of the page has no id"), "{error}");
}

#[tokio::test]
async fn ten_megabytes_are_read_and_more_than_the_cap_is_refused() {
    let stage = stage(3);
    stage.app.seed_user(json!({"id": "big", "userName": "big@contoso.example", "notes": "x".repeat(11 << 20)}));
    assert_eq!(stage.target.users(None).await.unwrap().records.len(), 4);
    // Fewer at once fit.
    stage.app.seed_user(json!({"id": "bigger", "userName": "bigger@contoso.example", "notes": "x".repeat(6 << 20)}));
    assert_eq!(stage.target.users(None).await.unwrap().records.len(), 5);
    stage.app.seed_user(json!({"id": "biggest", "userName": "biggest@contoso.example", "notes": "x".repeat(17 << 20)}));
    let error = stage.target.users(None).await.unwrap_err();
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
}

#[tokio::test]
async fn the_token_file_is_read_anew_in_every_round() {
    let stage = stage(1);
    stage.app.set_token("another-token".into());
    let error = stage.target.users(None).await.unwrap_err();
    assert!(matches!(error, Error::Denied { status: 401, .. }), "{error}");
    std::fs::write(stage.file.path(), "another-token\n").unwrap();
    stage.target.users(None).await.unwrap();
    std::fs::write(stage.file.path(), "").unwrap();
    assert_eq!(stage.target.users(None).await.unwrap_err().label(), "file");
    assert_eq!(stage.target.calibrate(AT).await.unwrap_err().label(), "file");
}

#[tokio::test(start_paused = true)]
async fn silence_has_its_own_names() {
    let file = token_file(TOKEN);
    let hangs = target(in_process(Router::new().fallback(std::future::pending::<()>)), &file);
    assert_eq!(hangs.users(None).await.unwrap_err().label(), "timed-out");
    let down = BoxCloneSyncService::new(tower::service_fn(|_| async { Err(TransportError::Connect("refused".into())) }));
    assert_eq!(target(down, &file).users(None).await.unwrap_err().label(), "unreachable");
}

/// The probe proves nothing while the app answers in one of these ways.
async fn assert_inconclusive(stage: &Stage, calibration: &Calibration, quirks: &[Quirk]) {
    for quirk in quirks {
        stage.app.clear_quirks();
        stage.app.set_quirk(quirk.clone());
        let probe = stage.target.probe(calibration, AT).await;
        assert_eq!(probe.verdict, ProbeVerdict::Inconclusive, "{quirk:?}: {}", probe.detail);
    }
}

#[tokio::test]
async fn a_revoked_token_is_proven_rejected() {
    for quirks in [vec![], vec![Quirk::ProtectsConfig], vec![Quirk::DeadTokenNotFound]] {
        let stage = stage(2);
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let calibration = stage.target.calibrate(AT).await.unwrap();
        assert_eq!(calibration.url, "https://app.example/scim/v2/Users?aadOptscim062020&startIndex=1&count=1");
        assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Answers, "{quirks:?}");
        stage.app.revoke();
        let probe = stage.target.probe(&calibration, AT).await;
        assert_eq!(probe.verdict, ProbeVerdict::Rejected, "{quirks:?}: {}", probe.detail);
        stage.app.set_token(TOKEN.into());
        assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Answers, "{quirks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_outage_is_taken_for_a_revocation() {
    let stage = stage(2);
    let calibration = stage.target.calibrate(AT).await.unwrap();
    assert_eq!(calibration.bad_token, Signature { status: 401, body: BodyShape::ScimError });
    assert_eq!(calibration.liveness, 200);
    stage.app.revoke();
    let outages = [
        Quirk::Html(200),
        Quirk::Html(401),
        Quirk::Html(404),
        Quirk::Html(511),
        Quirk::Firewall,
        Quirk::Redirect,
        Quirk::Unavailable,
        Quirk::Throttled(5),
        Quirk::DeadTokenNotFound,
        Quirk::ProtectsConfig,
    ];
    assert_inconclusive(&stage, &calibration, &outages).await;
    let down = BoxCloneSyncService::new(tower::service_fn(|_| async { Err(TransportError::Connect("refused".into())) }));
    let probe = target(down, &stage.file).probe(&calibration, AT).await;
    assert_eq!(probe.verdict, ProbeVerdict::Inconclusive, "{}", probe.detail);
}

#[tokio::test]
async fn another_token_in_the_file_is_not_the_revoked_one() {
    let stage = stage(2);
    let calibration = stage.target.calibrate(AT).await.unwrap();
    for content in ["mistyped-token-00000", ""] {
        std::fs::write(stage.file.path(), content).unwrap();
        let probe = stage.target.probe(&calibration, AT).await;
        assert_eq!(probe.verdict, ProbeVerdict::Inconclusive, "{}", probe.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_could_prove_nothing_is_not_calibrated() {
    for (quirks, label, words) in [
        (vec![Quirk::AcceptsAnyToken], "malformed", "checks no token"),
        (vec![Quirk::DeadTokenNotFound, Quirk::ProtectsConfig], "malformed", "a dead service would look the same"),
        (vec![Quirk::DeadTokenHtml(401)], "malformed", "401 with HTML, as by a sign-in page or a gateway"),
        (vec![Quirk::DeadTokenHtml(403)], "malformed", "let the SCIM path through to the service"),
        (vec![Quirk::Html(200)], "malformed", "answers HTML"),
        (vec![Quirk::Html(401)], "denied", "an HTML page"),
        (vec![Quirk::Firewall], "denied", "403"),
        (vec![Quirk::Redirect], "refused", "redirects"),
        (vec![Quirk::Unavailable], "refused", "503"),
        (vec![Quirk::Throttled(5)], "throttled", "5s"),
    ] {
        let stage = stage(2);
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let error = stage.target.calibrate(AT).await.unwrap_err();
        assert_eq!(error.label(), label, "{quirks:?}: {error}");
        assert!(error.to_string().contains(words), "{quirks:?}: {error}");
    }
    let stage = stage(2);
    stage.app.revoke();
    let error = stage.target.calibrate(AT).await.unwrap_err();
    assert!(matches!(error, Error::Denied { status: 401, .. }) && error.to_string().contains("put a valid one"), "{error}");
}

#[tokio::test]
async fn the_token_appears_in_no_text() {
    let stage = stage(2);
    let calibration = stage.target.calibrate(AT).await.unwrap();
    keeps_the_token(&calibration);
    stage.app.set_quirk(Quirk::EchoesToken);
    stage.app.revoke();
    for error in [
        stage.target.users(None).await.unwrap_err(),
        stage.target.user(&known_id(&stage.app), &[]).await.unwrap_err(),
        stage.target.calibrate(AT).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("the token [token] is not valid"), "{error}");
        keeps_the_token(&error);
    }
    let probe = stage.target.probe(&calibration, AT).await;
    assert_eq!(probe.verdict, ProbeVerdict::Rejected);
    keeps_the_token(&probe);
    keeps_the_token(&serde_json::to_string(&calibration).unwrap());
}

/// One request to the practice app itself.
async fn call(app: &ScimApp, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = axum::http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("bearer {TOKEN}"))
        .body(axum::body::Body::from(if body.is_null() { String::new() } else { body.to_string() }))
        .unwrap();
    let response = tower::ServiceExt::oneshot(app.router(), request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_practice_app_does_what_provisioning_asks() {
    let app = ScimApp::new(TOKEN.into());
    let none = Value::Null;
    let (status, user) =
        call(&app, "POST", "/Users", json!({"userName": "Ann@contoso.example", "externalId": "a1", "active": "True"})).await;
    assert_eq!((status, &user["active"]), (201, &json!(true)));
    let id = user["id"].as_str().unwrap();
    let (status, error) = call(&app, "POST", "/Users", json!({"userName": "ann@CONTOSO.example"})).await;
    assert_eq!((status, &error["scimType"], &error["status"]), (409, &json!("uniqueness"), &json!("409")));
    assert_eq!(call(&app, "POST", "/Users", json!({})).await.0, 400);

    for (filter, total) in [("userName%20eq%20%22ann@contoso.example%22", 1), ("externalId%20eq%20%22A1%22", 0)] {
        assert_eq!(call(&app, "GET", &format!("/Users?filter={filter}"), none.clone()).await.1["totalResults"], total);
    }
    let disable = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    assert_eq!(call(&app, "PATCH", &format!("/Users/{id}"), disable).await.1["active"], false);

    let (_, group) = call(&app, "POST", "/Groups", json!({"displayName": "IT"})).await;
    let group = format!("/Groups/{}", group["id"].as_str().unwrap());
    let join = json!({"Operations": [{"op": "Add", "path": "members", "value": [{"value": id}]}]});
    assert_eq!(call(&app, "PATCH", &group, join).await.0, 204);
    assert_eq!(app.groups()[0]["members"], json!([{"value": id}]));
    let trimmed = call(&app, "GET", &format!("{group}?excludedAttributes=members"), none.clone()).await.1;
    assert_eq!((&trimmed["members"], &trimmed["displayName"]), (&none, &json!("IT")));
    let leave = json!({"Operations": [{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]});
    assert_eq!(call(&app, "PATCH", &group, leave).await.0, 204);
    assert_eq!(app.groups()[0]["members"], json!([]));

    assert_eq!(call(&app, "DELETE", &group, none.clone()).await.0, 204);
    assert_eq!(call(&app, "GET", &group, none.clone()).await.0, 404);
    assert_eq!((app.users().len(), app.groups().len()), (1, 0));
    assert_eq!(call(&app, "PUT", &format!("/Users/{id}"), json!({"userName": "b", "id": "other"})).await.1["id"], id);
    assert_eq!(call(&app, "DELETE", &format!("/Users/{id}"), none.clone()).await.0, 204);
    let (_, again) = call(&app, "POST", "/Users", json!({"userName": "b"})).await;
    assert_ne!(again["id"], id);
    app.revoke();
    assert_eq!(call(&app, "GET", "/Users", none.clone()).await.0, 401);
    assert_eq!(call(&app, "GET", "/ServiceProviderConfig", none).await.0, 200);
}
