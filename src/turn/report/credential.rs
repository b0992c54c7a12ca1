//! Whether our credential at Entra still is one, and for how long.

use std::time::Duration;

use crate::judge::facts::Facts;
use crate::judge::plan::Judged;
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::moment::since;

/// Time to get a new certificate through any process. What lives shorter is renewed by a machine, near its end.
const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);
const SHARE: u32 = 10;

pub(super) fn valid(facts: &Facts) -> Judged {
    let (truth, reason, message) = judge(facts);
    Judged { condition: ConditionKind::CredentialValid, truth, reason, message }
}

fn judge(facts: &Facts) -> (Truth, Reason, String) {
    let now = facts.service_time();
    let life = facts.seen.credential;
    if let Some(life) = life.filter(|life| life.ends <= now) {
        return (Truth::False, Reason::CredentialExpired, format!("expired on {:.0}; put a new one into its files", life.ends));
    }
    if let Some(why) = facts.seen.permissions.unknown().filter(|why| matches!(why.kind.as_str(), "credential" | "file")) {
        return (Truth::False, Reason::CredentialRefused, why.to_string());
    }
    let Some(life) = life else {
        return (Truth::Unknown, Reason::ExpiryNotKnown, "this kind of credential does not say when it expires".into());
    };
    let ahead = AHEAD.min(since(life.begins, life.ends) / SHARE);
    if since(now, life.ends) < ahead {
        let message = format!("expires on {:.0}; put a new one into its files before", life.ends);
        return (Truth::False, Reason::CredentialExpiring, message);
    }
    (Truth::True, Reason::CredentialInForce, format!("in force until {:.0}", life.ends))
}
