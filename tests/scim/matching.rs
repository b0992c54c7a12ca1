//! One user looked up by what Entra matches by: nobody else's record, and "none" only from an empty list.

use unscim::model::spec::MatchBy;

use super::*;

#[tokio::test]
async fn a_user_whom_a_list_that_repeats_itself_lacks_is_found_by_a_filter() {
    let stage = stage(130);
    assert!(!stage.target.users(None).await.unwrap().may_lack);
    stage.app.set_quirk(Quirk::FirstOnly(99));
    let list = stage.target.users(None).await.unwrap();
    assert_eq!((list.records.len(), list.may_lack), (99, true));
    for name in ["user120@contoso.example", "USER120@Contoso.Example"] {
        let Observed::Known(found) = stage.target.user_by(MatchBy::UserName, name).await.unwrap() else { panic!("not found") };
        assert_eq!(found.user_name.as_deref(), Some("user120@contoso.example"));
    }
    for name in ["nobody@contoso.example", r#"o"hara\ü+&x@contoso.example"#] {
        assert!(stage.target.user_by(MatchBy::UserName, name).await.unwrap().is_absent(), "{name}");
        stage.app.seed_user(json!({"userName": name, "externalId": format!("of {name}")}));
        assert!(stage.target.user_by(MatchBy::UserName, name).await.unwrap().is_known(), "{name}");
        let by = stage.target.user_by(MatchBy::ExternalId, &format!("of {name}")).await.unwrap();
        assert_eq!(by.known().unwrap().user_name.as_deref(), Some(name));
    }
    stage.app.clear_quirks();
    assert!(!stage.target.users(None).await.unwrap().may_lack, "it follows startIndex again");
}

#[tokio::test]
async fn a_list_that_shows_its_end_lacks_nobody() {
    for (quirks, may_lack) in [
        (vec![], false),
        (vec![Quirk::PageCap(3)], false),
        (vec![Quirk::TotalIsPageLength], false),
        (vec![Quirk::CursorOnly], false),
        (vec![Quirk::IgnoresPaging], true),
        (vec![Quirk::RefusesPaging(501)], true),
    ] {
        let stage = stage(37);
        quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
        let list = stage.target.users(None).await.unwrap();
        assert_eq!((list.records.len(), list.may_lack), (37, may_lack), "{quirks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_look_at_the_filter_says_nothing() {
    for (users, quirk, label) in [
        (2, Quirk::IgnoresFilter, "ambiguous"),
        (1, Quirk::IgnoresFilter, "malformed"),
        (2, Quirk::RefusesFilter(400), "refused"),
        (2, Quirk::RefusesFilter(501), "refused"),
        (2, Quirk::RefusesFilter(403), "denied"),
        (2, Quirk::RefusesFilter(404), "refused"),
        (2, Quirk::NoSchemas, "malformed"),
        (2, Quirk::NoTotal, "malformed"),
        (2, Quirk::Html(200), "malformed"),
        (2, Quirk::Throttled(3600), "throttled"),
        (2, Quirk::Unavailable, "refused"),
    ] {
        let stage = stage(users);
        stage.app.set_quirk(quirk.clone());
        let error = stage.target.user_by(MatchBy::UserName, "nobody@contoso.example").await.unwrap_err();
        assert_eq!(error.label(), label, "{quirk:?}: {error}");
        keeps_the_token(&error);
    }
    let stage = stage(2);
    stage.app.seed_user(json!({"userName": "twin-a@contoso.example", "externalId": "7"}));
    stage.app.seed_user(json!({"userName": "twin-b@contoso.example", "externalId": "7"}));
    assert_eq!(stage.target.user_by(MatchBy::ExternalId, "7").await.unwrap_err().label(), "ambiguous");
    stage.app.revoke();
    assert_eq!(stage.target.user_by(MatchBy::ExternalId, "8").await.unwrap_err().label(), "denied");
}
