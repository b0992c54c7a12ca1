//! Tokens of several forms, of several ends, and apps that refuse them in several ways, over the whole way.

use std::time::Duration;

use unscim::model::condition::{ConditionKind, Reason};
use unscim::model::spec::Acknowledgement;
use unscim::model::status::{Outlook, Phase, Status};
use unscim::practice::scenario::{Job, Scenario, SignIn, Target, TargetToken};
use unscim::practice::scim_app::Quirk;

use crate::support::Rig;
use crate::walk::small;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn with_a_jwt(ends: Option<Duration>) -> Scenario {
    Scenario { target: Target { token: TargetToken::Jwt, token_ends: ends, ..Target::default() }, ..small() }
}

fn revoked(status: &Status) -> (Reason, &str) {
    let condition = status.conditions.iter().find(|one| one.kind == ConditionKind::TokenRevoked).unwrap();
    (condition.reason, &condition.message)
}

#[tokio::test(start_paused = true)]
async fn an_app_that_refuses_unknown_and_deleted_tokens_in_two_ways_is_retired() {
    for quirk in [Quirk::UnknownToken(403), Quirk::MalformedToken(500), Quirk::IgnoresSignature] {
        let mut rig = Rig::new(with_a_jwt(Some(90 * DAY))).await;
        let before = rig.active_users();
        rig.practice.scim_app().unwrap().set_quirk(quirk);
        rig.retire().await;
        rig.assert_nobody_hurt(&before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_by_itself_is_never_taken_for_a_deleted_one() {
    let mut rig = Rig::new(with_a_jwt(Some(20 * DAY))).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    rig.practice.pass(20 * DAY).await;
    // A person is asked, whether it was deleted meanwhile or not.
    let asks = |status: &Status| {
        let (reason, message) = revoked(status);
        assert_eq!((reason, status.remaining.outlook), (Reason::TokenEnded, Outlook::AwaitingPerson), "{message}");
        assert!(message.contains("put a token that lasts into target.tokenFile for one turn"), "{message}");
    };
    asks(&rig.turn().await.status);
    rig.practice.revoke_token().unwrap();
    for _ in 0..20 {
        let status = rig.turn().await.status;
        assert_ne!(status.phase, Phase::Retired);
        asks(&status);
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
    // What is asked for leads to the end.
    let lasting = "scim~one-that-lasts";
    rig.practice.scim_app().unwrap().set_token(lasting.into());
    std::fs::write(rig.dir.path().join("scim-token"), lasting).unwrap();
    let status = rig.until(10, |status| revoked(status).0 == Reason::AwaitingOperator).await;
    assert_eq!(status.phase, Phase::AwaitingRevocation);
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_mistyped_at_the_end_asks_for_a_person_and_proves_nothing() {
    let mut rig = Rig::new(with_a_jwt(None)).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    let (file, good) = (rig.dir.path().join("scim-token"), rig.practice.scim_token());
    std::fs::write(&file, "mistyped").unwrap();
    let status = rig.until(10, |status| revoked(status).0 == Reason::ProbeInconclusive).await;
    let (_, message) = revoked(&status);
    assert!(message.contains("the app has never taken it: put the one back"), "{message}");
    let target = status.condition(ConditionKind::TargetReachable).unwrap();
    assert!(target.message.contains("nothing shows yet that it was deleted"), "{}", target.message);
    assert_eq!(status.condition(ConditionKind::TokenRevoked).unwrap().expected_by, None, "nothing comes by itself");
    // Nor does a turn ask for its deletion in which no probe is due, in this process or the next.
    for n in 0..12 {
        tokio::time::sleep(rig.spec.target.revocation.confirm_every / 4).await;
        if n == 5 {
            rig.restart();
        }
        assert_eq!(revoked(&rig.turn().await.status), (Reason::ProbeInconclusive, message));
    }
    std::fs::write(&file, good).unwrap();
    rig.until(10, |status| revoked(status).0 == Reason::AwaitingOperator).await;
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn an_app_into_which_entra_signs_in_by_oauth_is_refused_before_anything_is_written() {
    let scenario = Scenario { job: Job { sign_in: SignIn::OAuth, ..Job::default() }, ..small() };
    let mut rig = Rig::new(scenario).await;
    let status = rig.until_phase(Phase::Held).await;
    let preflight = status.conditions.iter().find(|one| one.kind == ConditionKind::Preflight).unwrap();
    assert!(preflight.message.contains("signs in to the app by OAuth"), "{}", preflight.message);
    for _ in 0..30 {
        rig.turn().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(rig.turn().await.status.journal.is_empty());

    // To step 4 and no further, by the operator's word; and then no refusal is a proof.
    rig.spec.groups.acknowledge.push(Acknowledgement::OAuthSignIn);
    let at_the_end = |status: &Status| revoked(status).0 == Reason::ProbeInconclusive;
    let status = rig.until(600, at_the_end).await;
    assert_eq!(status.phase, Phase::Held);
    assert!(revoked(&status).1.contains("Delete the OAuth client"), "{}", revoked(&status).1);
    rig.practice.revoke_token().unwrap();
    for _ in 0..20 {
        let status = rig.turn().await.status;
        assert!(status.phase == Phase::Held && at_the_end(&status), "{}", status.phase);
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
}
