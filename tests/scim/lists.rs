//! Quirks of real services with lists: a list is read whole, or it is an error.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_over_its_rate_is_waited_for_in_the_middle_of_a_list() {
    for (status, seconds) in [(429, 3), (503, 3), (429, 0)] {
        let stage = stage(30);
        let before = stage.target.users(None).await.unwrap().records;
        stage.app.set_quirk(Quirk::PageCap(3));
        stage.app.set_quirk(Quirk::RateLimited { every: 4, status, seconds });
        let began = tokio::time::Instant::now();
        assert_eq!(stage.target.users(None).await.unwrap().records, before, "{status}");
        assert!(began.elapsed() >= Duration::from_secs(seconds) && began.elapsed() <= Duration::from_secs(60));
        assert_eq!(stage.target.groups().await.unwrap().records.len(), 1);
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
        for error in [stage.target.users(None).await.unwrap_err(), stage.target.groups().await.unwrap_err()] {
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
    assert!(target.groups().await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_service_that_names_none_of_its_lists_may_have_no_group_and_the_token_must_open_its_users() {
    for quirk in [Quirk::NoSchemas, Quirk::OtherSchema] {
        let stage = stage(10);
        let ids: Vec<ScimId> = stage.target.groups().await.unwrap().records.into_keys().collect();
        ids.iter().for_each(|id| stage.app.delete_group(&id.to_string()));
        stage.app.set_quirk(quirk.clone());
        assert!(
            stage.target.groups().await.unwrap_err().to_string().contains("proves nothing"),
            "{quirk:?}: its quirk is not known yet"
        );
        let users: Vec<ScimId> = stage.target.users(None).await.unwrap().records.into_keys().collect();
        let groups = stage.target.groups().await.unwrap();
        assert!(groups.records.is_empty() && groups.may_lack, "{quirk:?}: each is to be asked for by its id");
        assert!(stage.target.group(&ids[0], &[]).await.unwrap().is_absent());
        // What shows nobody any more, as it may to a token that is dead, shows nothing.
        users.iter().for_each(|id| stage.app.delete_user(&id.to_string()));
        let error = stage.target.group(&ids[0], &[]).await.unwrap_err();
        assert!(error.to_string().contains("proves nothing"), "{quirk:?}: {error}");
        assert!(stage.target.users(None).await.unwrap_err().to_string().contains("proves nothing"), "{quirk:?}: of users never");
        assert!(stage.target.groups().await.unwrap_err().to_string().contains("proves nothing"), "{quirk:?}: nor does it last");
    }
}

#[tokio::test]
async fn a_first_page_that_comes_again_and_again_is_not_the_whole_list() {
    for quirks in [
        vec![Quirk::IgnoresStart, Quirk::PageCap(3), Quirk::TotalIsPageLength],
        vec![Quirk::IgnoresStart, Quirk::TotalIsPageLength],
        vec![Quirk::FirstOnly(20)],
        vec![Quirk::FirstOnly(50)],
        vec![Quirk::FirstOnly(100)],
        vec![Quirk::FirstOnly(128)],
        vec![Quirk::IgnoresStart],
        vec![Quirk::IgnoresStart, Quirk::PageCap(3)],
    ] {
        let stage = stage(130);
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let error = stage.target.users(None).await.unwrap_err();
        assert_eq!(error.label(), "incomplete", "{quirks:?}: {error}");
        assert!(error.to_string().contains("have the app's vendor make its lists follow startIndex"), "{quirks:?}: {error}");
        // The one group can't be half of a page.
        assert_eq!(stage.target.groups().await.unwrap().records.len(), 1);
    }
}

#[tokio::test]
async fn a_whole_list_that_comes_again_and_again_is_taken() {
    for quirks in [
        vec![Quirk::IgnoresStart],
        vec![Quirk::FirstOnly(1000)],
        vec![Quirk::RepeatsLastPage, Quirk::TotalIsPageLength],
        vec![Quirk::IgnoresPaging],
    ] {
        for users in [1, 2, 37, 99] {
            let stage = stage(users);
            quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
            let read = stage.target.users(None).await.unwrap_or_else(|error| panic!("{quirks:?}, {users}: {error}")).records;
            assert_eq!(read.len(), users, "{quirks:?}");
        }
    }
}

#[tokio::test]
async fn a_list_that_ends_early_says_to_which_question_the_service_answered() {
    let stage = stage(130);
    stage.app.set_quirk(Quirk::IgnoresStart);
    let error = stage.target.users(None).await.unwrap_err().to_string();
    assert!(error.contains("ended after 100 of 130 entries; asked from entry 101 on, it answered from entry 1 on"), "{error}");
}

#[tokio::test]
async fn a_service_that_refuses_paging_is_read_without() {
    for quirks in [
        vec![Quirk::RefusesPaging(501), Quirk::IgnoresPaging],
        vec![Quirk::RefusesPaging(400), Quirk::IgnoresPaging],
        vec![Quirk::RefusesPaging(422), Quirk::IgnoresPaging],
        vec![Quirk::RefusesCount(500)],
        vec![Quirk::RefusesCount(500), Quirk::PageCap(7)],
        vec![Quirk::RefusesBehindEnd(400)],
        vec![Quirk::RefusesBehindEnd(404)],
        vec![Quirk::RefusesBehindEnd(501)],
        vec![Quirk::RefusesBehindEnd(404), Quirk::PageCap(7)],
        vec![Quirk::CursorOnly],
        vec![Quirk::CursorOnly, Quirk::PageCap(7)],
    ] {
        let stage = stage(43);
        let before = stage.target.users(None).await.unwrap().records;
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let read = stage.target.users(None).await.unwrap_or_else(|error| panic!("{quirks:?}: {error}")).records;
        assert_eq!(read, before, "{quirks:?}");
        assert_eq!(stage.target.groups().await.unwrap().records.len(), 1, "{quirks:?}");
        assert!(stage.target.user(&ScimId::from("nobody"), &[]).await.unwrap().is_absent(), "{quirks:?}");
        let calibration = stage.target.calibrate(AT).await.unwrap_or_else(|error| panic!("{quirks:?}: {error}"));
        assert!(stage.target.fits(&calibration), "{quirks:?}");
        assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Answers, "{quirks:?}");
        stage.app.revoke();
        assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Rejected, "{quirks:?}");
    }
}

#[tokio::test]
async fn a_refusal_before_the_end_is_no_end() {
    for quirks in [
        vec![Quirk::RefusesPaging(500), Quirk::PageCap(7), Quirk::IgnoresStart],
        vec![Quirk::RefusesPaging(501), Quirk::PageCap(7)],
        vec![Quirk::RefusesBehindEnd(404), Quirk::TotalIsPageLength, Quirk::PageCap(7)],
        vec![Quirk::RefusesBehindEnd(503), Quirk::PageCap(7)],
        vec![Quirk::RefusesBehindEnd(500)],
        vec![Quirk::RefusesBehindEnd(401)],
        vec![Quirk::RefusesBehindEnd(403)],
    ] {
        let stage = stage(43);
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        assert!(stage.target.users(None).await.is_err(), "{quirks:?}");
    }
    // Nothing is asked for and nothing comes: that proves nothing where the question itself was not understood.
    let app = ScimApp::new(TOKEN.into());
    app.set_quirk(Quirk::RefusesCount(500));
    let file = token_file(TOKEN);
    let empty = target(in_process(Router::new().nest("/scim/v2", app.router())), &file);
    assert!(empty.groups().await.unwrap_err().to_string().contains("proves nothing"));
}
