//! Tokens of every form, and services that have several ways to refuse them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use unscim::model::snapshot::Probe;

use super::*;

/// A signed token that says of itself when it ends, in seconds.
fn jwt(ends: Option<i64>) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = json!({"sub": "scim", "jti": "b7f3"});
    if let Some(ends) = ends {
        claims["exp"] = ends.into();
    }
    let signature: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(37)).collect();
    format!("{}.{}.{}", part(json!({"alg": "HS512", "typ": "JWT"})), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

fn staged(token: &str, quirks: &[Quirk]) -> Stage {
    let stage = stage(2);
    stage.app.set_token(token.to_owned());
    std::fs::write(stage.file.path(), token).unwrap();
    quirks.iter().cloned().for_each(|quirk| stage.app.set_quirk(quirk));
    stage
}

/// What a probe says after the token was deleted.
async fn deleted(token: &str, quirks: &[Quirk]) -> Probe {
    let stage = staged(token, quirks);
    let calibration = stage.target.calibrate(AT).await.unwrap_or_else(|error| panic!("{token} {quirks:?}: {error}"));
    assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Answers, "{token} {quirks:?}");
    stage.app.revoke();
    stage.target.probe(&calibration, AT).await
}

#[tokio::test]
async fn a_deleted_token_that_is_told_401_where_a_made_up_one_is_told_403_is_proven_rejected() {
    for token in [jwt(None), "scim_live_4f9A27c1e08b6d35".into(), TOKEN.into()] {
        let probe = deleted(&token, &[Quirk::UnknownToken(403)]).await;
        assert_eq!(probe.verdict, ProbeVerdict::Rejected, "{token}: {}", probe.detail);
        assert!(probe.detail.contains("401") && probe.detail.contains("403"), "{}", probe.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn the_probe_waits_for_a_service_over_its_rate_as_well() {
    for every in [2, 3] {
        let stage = staged(TOKEN, &[]);
        let calibration = stage.target.calibrate(AT).await.unwrap();
        stage.app.revoke();
        stage.app.set_quirk(Quirk::RateLimited { every, status: 429, seconds: 1 });
        let probe = stage.target.probe(&calibration, AT).await;
        assert_eq!(probe.verdict, ProbeVerdict::Rejected, "{every}: {}", probe.detail);
    }
    // For as long as a look has patience, and what it says then is told of nobody's token.
    let stage = staged(TOKEN, &[]);
    let calibration = stage.target.calibrate(AT).await.unwrap();
    stage.app.revoke();
    stage.app.set_quirk(Quirk::RateLimited { every: 1, status: 429, seconds: 3600 });
    assert_eq!(stage.target.probe(&calibration, AT).await.verdict, ProbeVerdict::Inconclusive);
}

#[tokio::test]
async fn a_service_that_breaks_on_a_malformed_token_is_shown_a_well_formed_one() {
    for token in [
        jwt(None),
        "scim_live_4f9A27c1e08b6d35".into(),
        "scim~0f3b7c66c5a94c6c9c0b7a9f2d1e4a58".into(),
        "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaQ==".into(),
    ] {
        let probe = deleted(&token, &[Quirk::MalformedToken(500)]).await;
        assert_eq!(probe.verdict, ProbeVerdict::Rejected, "{token}: {}", probe.detail);
    }
}

#[tokio::test]
async fn a_service_that_looks_at_no_signature_is_shown_another_token_altogether() {
    let probe = deleted(&jwt(None), &[Quirk::IgnoresSignature]).await;
    assert_eq!(probe.verdict, ProbeVerdict::Rejected, "{}", probe.detail);
}

#[tokio::test(start_paused = true)]
async fn several_ways_to_say_no_do_not_make_one_of_an_outage() {
    let stage = staged(&jwt(None), &[Quirk::UnknownToken(403)]);
    let calibration = stage.target.calibrate(AT).await.unwrap();
    // The token is good all the time: whatever stands in front answers.
    let outages = [
        Quirk::Html(401),
        Quirk::Html(403),
        Quirk::Html(500),
        Quirk::Firewall,
        Quirk::Redirect,
        Quirk::Unavailable,
        Quirk::Throttled(5),
    ];
    assert_inconclusive(&stage, &calibration, &outages).await;
    // One answer to everything is nobody's word on our token, whichever it is.
    for (status, body) in [(401, "{}"), (403, "{}"), (500, "{}"), (401, ""), (403, ""), (404, "{}")] {
        let (target, file) = says(status, body);
        std::fs::write(file.path(), jwt(None)).unwrap();
        let probe = target.probe(&calibration, AT).await;
        assert_eq!(probe.verdict, ProbeVerdict::Inconclusive, "{status} {body}: {}", probe.detail);
    }
    // A deleted one is proven only as long as the made-up one is refused as it was.
    stage.app.clear_quirks();
    stage.app.revoke();
    assert_inconclusive(&stage, &calibration, &[Quirk::UnknownToken(500), Quirk::UnknownToken(401), Quirk::ProtectsConfig]).await;
}

#[tokio::test]
async fn a_token_past_its_own_end_has_expired_and_was_not_deleted() {
    let end = 1_000_000;
    let before = Timestamp::from_second(end - 3_600).unwrap();
    for (now, expected) in [
        (end - 3_600, ProbeVerdict::Rejected),
        // Clocks differ by minutes.
        (end - 60, ProbeVerdict::Inconclusive),
        (end, ProbeVerdict::Inconclusive),
        (end + 3_600, ProbeVerdict::Inconclusive),
    ] {
        let stage = staged(&jwt(Some(end)), &[]);
        let calibration = stage.target.calibrate(before).await.unwrap();
        stage.app.revoke();
        let probe = stage.target.probe(&calibration, Timestamp::from_second(now).unwrap()).await;
        assert_eq!(probe.verdict, expected, "{now}: {}", probe.detail);
        let says_so = probe.detail.contains("expired by itself on 1970-01-12T13:46:40Z");
        assert_eq!(says_so, expected == ProbeVerdict::Inconclusive, "{}", probe.detail);
        // One that still opens the list does, whatever it says of itself.
        stage.app.set_token(jwt(Some(end)));
        let probe = stage.target.probe(&calibration, Timestamp::from_second(now).unwrap()).await;
        assert_eq!(probe.verdict, ProbeVerdict::Answers, "{}", probe.detail);
    }
}

/// Every token that was ever sent, and where.
fn overheard(app: &ScimApp, file: &NamedTempFile) -> (ScimTarget, Arc<std::sync::Mutex<Vec<String>>>) {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = heard.clone();
    let listen = axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| {
        let kept = kept.clone();
        async move {
            let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            kept.lock().unwrap().extend(bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned));
            next.run(request).await
        }
    });
    (target(in_process(Router::new().nest("/scim/v2", app.router()).layer(listen)), file), heard)
}

#[tokio::test]
async fn made_up_tokens_resemble_the_real_one_and_are_few() {
    let real = jwt(Some(4_000_000_000));
    for quirks in [vec![], vec![Quirk::UnknownToken(403)], vec![Quirk::IgnoresSignature]] {
        let stage = staged(&real, &quirks);
        let (target, heard) = overheard(&stage.app, &stage.file);
        let calibration = target.calibrate(AT).await.unwrap();
        let made_up: BTreeSet<String> = heard.lock().unwrap().drain(..).filter(|token| *token != real).collect();
        let ignores = quirks.contains(&Quirk::IgnoresSignature);
        // One that was let in is no bad one: no lock-out counts it.
        assert_eq!(made_up.len(), if ignores { 3 } else { 2 }, "{quirks:?}: {made_up:?}");
        let (claims, signature) = real.rsplit_once('.').unwrap();
        for token in made_up.iter().filter(|_| !ignores) {
            let (same, other) = token.rsplit_once('.').unwrap();
            assert_eq!((same, other.len()), (claims, signature.len()), "{token}");
            let (was, is) = (URL_SAFE_NO_PAD.decode(signature).unwrap(), URL_SAFE_NO_PAD.decode(other).unwrap());
            assert_ne!(was, is, "another signature, not only another spelling");
        }
        stage.app.revoke();
        assert_eq!(target.probe(&calibration, AT).await.verdict, ProbeVerdict::Rejected, "{quirks:?}");
        assert_eq!(heard.lock().unwrap().drain(..).filter(|token| *token != real).count(), 1, "{quirks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_calibration_waits_for_a_service_over_its_rate_and_learns_nothing_of_it() {
    let calm = stage(2).target.calibrate(AT).await.unwrap();
    for (status, every) in [(429, 2), (503, 2), (429, 3), (503, 3), (429, 4), (429, 5)] {
        let stage = stage(2);
        stage.app.set_quirk(Quirk::RateLimited { every, status, seconds: 1 });
        let began = tokio::time::Instant::now();
        let learned = stage.target.calibrate(AT).await.unwrap_or_else(|error| panic!("{status}, {every}: {error}"));
        assert_eq!(learned, calm, "{status}, {every}");
        assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() <= Duration::from_secs(60));
    }
    for (status, every, seconds) in [(429, 1, 9), (503, 1, 9), (429, 2, 3600), (503, 3, 3600), (429, 4, 3600), (503, 7, 3600)] {
        let stage = stage(2);
        stage.app.set_quirk(Quirk::RateLimited { every, status, seconds });
        let began = tokio::time::Instant::now();
        let error = stage.target.calibrate(AT).await.unwrap_err();
        assert_eq!((error.label(), error.class()), ("throttled", Class::Transient), "{status}, {every}: {error}");
        assert!(began.elapsed() <= Duration::from_secs(60), "one look waits a minute in all");
    }
}
