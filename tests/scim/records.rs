//! How a service says that it has no such record, and what counts for a "no".

use super::*;

const PROBLEM: &str = r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.5","title":"Not Found","status":404}"#;
const SINGULAR: &str = r#"{"schema":"urn:ietf:params:scim:api:messages:2.0:Error","status":"404","detail":"GROUP not found"}"#;
const OTHER_URN: &str = r#"{"schemas":["urn:scim:schemas:core:1.0:Error"],"Errors":[{"code":"404"}]}"#;
const PAGE: &str = "<!DOCTYPE html><html><body>Cannot GET it</body></html>";

#[tokio::test]
async fn a_no_in_other_words_is_learned_while_the_token_is_good() {
    for (status, body) in [
        (404, ""),
        (404, PROBLEM),
        (404, SINGULAR),
        (404, OTHER_URN),
        (404, PAGE),
        (404, "404 page not found"),
        (410, ""),
        (400, PROBLEM),
        (403, PROBLEM),
        (401, ""),
    ] {
        let stage = stage(2);
        stage.app.set_quirk(Quirk::NotFoundAs(status, body));
        let nobody = ScimId::from("nobody");
        let error = stage.target.group(&nobody, &[]).await.unwrap_err();
        assert_ne!(error.class(), Class::Gone, "{status} {body}: nothing was learned: {error}");
        let learned = stage.target.calibrate(AT).await.unwrap().no_such.unwrap();
        assert!(stage.target.group(&nobody, &learned.groups).await.unwrap().is_absent(), "{status} {body}");
        assert!(stage.target.user(&nobody, &learned.users).await.unwrap().is_absent(), "{status} {body}");
        // What is there is there, whatever was learned.
        assert!(stage.target.user(&known_id(&stage.app), &learned.users).await.unwrap().is_known());

        for quirk in [Quirk::Firewall, Quirk::Unavailable, Quirk::Html(502), Quirk::NotFoundAs(409, "")] {
            stage.app.clear_quirks();
            stage.app.set_quirk(quirk.clone());
            let seen = stage.target.group(&nobody, &learned.groups).await;
            assert!(seen.is_err(), "{status} {body}, then {quirk:?}: {seen:?}");
        }
        stage.app.clear_quirks();
        stage.app.revoke();
        assert!(stage.target.group(&nobody, &learned.groups).await.is_err(), "{status} {body}: a dead token says nothing");
    }
}

#[tokio::test]
async fn what_says_nothing_of_a_record_is_not_learned() {
    for quirk in [
        Quirk::NotFoundAs(500, ""),
        Quirk::NotFoundAs(405, ""),
        Quirk::NotFoundAs(503, PAGE),
        Quirk::NotFoundAs(302, ""),
        // An app that reads no single record says the same of those that it has.
        Quirk::NoSingleReads,
    ] {
        let stage = stage(2);
        stage.app.set_quirk(quirk.clone());
        let learned = stage.target.calibrate(AT).await.unwrap().no_such.unwrap();
        assert!(learned.users.is_empty() && learned.groups.is_empty(), "{quirk:?}: {learned:?}");
    }
}

#[tokio::test]
async fn without_a_record_to_compare_only_a_404_is_learned() {
    for (status, learns) in [(404, true), (403, false)] {
        let app = ScimApp::new(TOKEN.into());
        let file = token_file(TOKEN);
        let target = target(in_process(Router::new().nest("/scim/v2", app.router())), &file);
        app.set_quirk(Quirk::NotFoundAs(status, PROBLEM));
        let learned = target.calibrate(AT).await.unwrap().no_such.unwrap();
        assert_eq!(!learned.groups.is_empty(), learns, "{status}");
    }
}

#[test]
fn a_calibration_of_an_older_ledger_is_read() {
    let old = json!({"url": "https://app.example/scim/v2/Users", "token": "00", "bad_token": {"status": 401, "body": "Empty"},
        "liveness": 200, "at": "2026-11-01T00:00:00Z"});
    let read: Calibration = serde_json::from_value(old).unwrap();
    assert_eq!(read.no_such, None);
}
