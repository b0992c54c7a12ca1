//! Habits of real services with lists: a list is read whole, or it is an error.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_over_its_rate_is_waited_for_in_the_middle_of_a_list() {
    for (status, seconds) in [(429, 3), (503, 3), (429, 0)] {
        let stage = stage(30);
        let before = stage.target.users().await.unwrap();
        stage.app.set_quirk(Quirk::PageCap(3));
        stage.app.set_quirk(Quirk::RateLimited { every: 4, status, seconds });
        let began = tokio::time::Instant::now();
        assert_eq!(stage.target.users().await.unwrap(), before, "{status}");
        assert!(began.elapsed() >= Duration::from_secs(seconds) && began.elapsed() <= Duration::from_secs(60));
        assert_eq!(stage.target.groups().await.unwrap().len(), 1);
        assert!(stage.target.user(&ScimId::from("nobody"), &[]).await.unwrap().is_absent());
    }
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end_and_then_nothing_was_said() {
    for quirk in [
        Quirk::RateLimited { every: 1, status: 429, seconds: 9 },
        Quirk::RateLimited { every: 1, status: 503, seconds: 9 },
        Quirk::RateLimited { every: 1, status: 429, seconds: 3600 },
    ] {
        let stage = stage(3);
        stage.app.set_quirk(quirk.clone());
        let began = tokio::time::Instant::now();
        for error in [stage.target.users().await.unwrap_err(), stage.target.groups().await.unwrap_err()] {
            assert_eq!((error.label(), error.class()), ("throttled", Class::Transient), "{quirk:?}: {error}");
            assert!(!error.is_refusal());
        }
        assert!(began.elapsed() <= Duration::from_secs(60), "one look waits a minute in all");
    }
}

#[tokio::test]
async fn what_a_list_calls_itself_matters_where_it_is_empty() {
    let empty = |schemas: Value| says(200, json!({"schemas": schemas, "totalResults": 0, "Resources": []}).to_string());
    for schemas in [json!(null), json!([]), json!("urn:scim:schemas:core:1.0")] {
        let (target, _file) = empty(schemas.clone());
        let error = target.groups().await.unwrap_err();
        assert!(error.to_string().contains("proves nothing"), "{schemas}: {error}");
    }
    let (target, _file) = empty(json!([LIST]));
    assert!(target.groups().await.unwrap().is_empty());
}
