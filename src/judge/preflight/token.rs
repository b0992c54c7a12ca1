//! The token for the app: how Entra comes by its own, when ours ends, and what it means that it is refused.

use std::time::Duration;

use super::findings::Findings;
use crate::judge::facts::Facts;
use crate::model::moment::later;
use crate::model::spec::Acknowledgement;

/// The guide takes days, and somebody has to come by another token.
const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);

/// As an OAuth client Entra fetches tokens that come and go; ours is another one, and its end tells nothing of Entra's.
pub(super) fn sign_in(facts: &Facts, found: &mut Findings) {
    if !facts.signs_in_by_oauth() {
        return;
    }
    let keys = facts.seen.settings.known().map(|settings| settings.oauth.join(", "));
    let keys = keys.map(|keys| format!(" ({keys})")).unwrap_or_default();
    let what = format!("Entra signs in to the app by OAuth, by what its provisioning settings hold{keys}");
    if facts.acknowledges(Acknowledgement::OAuthSignIn) {
        found.notes.push(format!("{what}; step 5 is left to a person, and is never proven (OAuthSignIn)"));
    } else {
        found.refusals.push(format!(
            "{what}: target.tokenFile has another token, which proves nothing of Entra's. Choose bearer authentication on the app's provisioning page, with a \
             token that lasts, the same in target.tokenFile; or, to delete the OAuth client by hand after step 4, set groups.acknowledge: [OAuthSignIn]"
        ));
    }
}

/// A token that says of itself when it ends.
pub(super) fn end(facts: &Facts, found: &mut Findings) {
    let now = facts.service_time();
    if facts.is_token_rejected() {
        return;
    }
    if let Some(end) = facts.token_ended() {
        found.notes.push(format!(
            "the token in target.tokenFile has ended by itself on {end:.0}, or is about to: that it is refused proves no deletion; put one that lasts into both \
             Entra and the file, or after step 4 into the file alone"
        ));
    } else if let Some(end) = facts.seen.target.token_ends.filter(|end| *end <= later(now, AHEAD)) {
        found.notes.push(format!(
            "the token in target.tokenFile ends by itself on {end:.0}: from then on nothing can be read at the app, and that it is refused proves no deletion; \
             be done before, or put one that lasts into both Entra and the file"
        ));
    }
}

/// What it means that the token is refused while it is still needed.
pub(super) fn refused(facts: &Facts, status: u16) -> String {
    let remedy = "put a valid one into both Entra and the token file, and never regenerate it just to fill the file, that kills Entra's copy";
    let which = "is it the one that Entra uses? If Entra's cycles end well, put Entra's into the file; if they don't,";
    match facts.runs_out() {
        _ if facts.is_target_unread_since_rollback() => format!(
            "the token in target.tokenFile is refused ({status}); where it was deleted before the rollback, put a new one into both Entra and the token file"
        ),
        Some(why) => format!("the token in target.tokenFile is refused ({status}); {why}: {remedy}"),
        None if facts.recorded().is_some() => {
            format!(
                "RevokedTooEarly: the token in target.tokenFile is refused ({status}) before step 4 is proven; {which} {remedy}"
            )
        }
        None => format!(
            "the token in target.tokenFile is refused ({status}); {which} it was revoked too early (RevokedTooEarly): {remedy}"
        ),
    }
}
