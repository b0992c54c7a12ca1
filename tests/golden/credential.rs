//! The credential: in force, about to expire, expired, refused, not known; by Entra's clock where it was heard.

use unscim::model::condition::{ConditionKind, Reason, Truth};
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::CredentialLife;
use unscim::turn::report::{Book, report};

use crate::act::carry_out;
use crate::support::*;

const DAY: i64 = 24 * 60;

/// The condition, and the end as the metrics get it, of a credential good for these minutes.
fn judged(life: Option<(i64, i64)>, change: impl FnOnce(&mut Case)) -> (Truth, Reason, String) {
    let mut case = Case::untouched();
    case.seen.credential = life.map(|(begins, ends)| CredentialLife { begins: at(begins), ends: at(ends) });
    change(&mut case);
    let acted = carry_out(&case, &world_of(&case));
    let status = report(&case.facts(), acted.approved(), acted.stopped(), Book::default(), None, None);
    assert_eq!(status.gauges.credential_expires, life.map(|(_, ends)| at(ends)));
    let condition = status.condition(ConditionKind::CredentialValid).unwrap();
    (condition.status, condition.reason, condition.message.clone())
}

fn of(life: Option<(i64, i64)>) -> (Truth, Reason) {
    let (truth, reason, _) = judged(life, |_| {});
    (truth, reason)
}

#[test]
fn a_certificate_is_told_two_weeks_before_its_end() {
    let begins = -200 * DAY;
    assert_eq!(of(Some((begins, NOW + 14 * DAY))), (Truth::True, Reason::CredentialInForce));
    assert_eq!(of(Some((begins, NOW + 14 * DAY - 1))), (Truth::False, Reason::CredentialExpiring));
    assert_eq!(of(Some((begins, NOW))), (Truth::False, Reason::CredentialExpired));
    let (.., message) = judged(Some((begins, NOW + DAY)), |_| {});
    assert!(message.contains("expires on 2026-11-25T22:00:00Z; put a new one"), "{message}");
}

#[test]
fn what_lives_an_hour_is_told_in_its_last_tenth() {
    assert_eq!(of(Some((NOW - 54, NOW + 6))), (Truth::True, Reason::CredentialInForce));
    assert_eq!(of(Some((NOW - 55, NOW + 5))), (Truth::False, Reason::CredentialExpiring));
}

#[test]
fn what_says_nothing_is_not_known_and_what_is_refused_is_told() {
    assert_eq!(of(None), (Truth::Unknown, Reason::ExpiryNotKnown));
    let refused = |kind: &'static str| {
        move |case: &mut Case| case.seen.permissions = Observed::Unknown(Why::new(kind, "the client secret has expired"))
    };
    for kind in ["credential", "file"] {
        let (truth, reason, message) = judged(None, refused(kind));
        assert_eq!((truth, reason), (Truth::False, Reason::CredentialRefused));
        assert!(message.contains("the client secret has expired"), "{message}");
    }
    assert_eq!(judged(None, refused("unreachable")).1, Reason::ExpiryNotKnown);
    assert_eq!(judged(Some((-DAY, NOW - 1)), refused("credential")).1, Reason::CredentialExpired);
}

#[test]
fn entras_clock_decides_where_it_was_heard() {
    let late = |case: &mut Case| {
        let Listed::Known(look) = &mut case.seen.jobs else { panic!("the jobs are known") };
        look.at = at(NOW + 3 * DAY);
    };
    assert_eq!(judged(Some((-200 * DAY, NOW + 2 * DAY)), late).1, Reason::CredentialExpired);
}
