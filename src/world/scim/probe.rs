//! Proves that the token is refused because it is dead, and for no other reason; whatever else happens proves nothing.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;

use super::client::{Client, Kind, asks_to_wait, refuses_paging};
use super::control::{has_form, made_up};
use super::missing;
use super::verdict::{Heard, Round, judge, tells, two_ways};
use super::wire::{self, signature};
use crate::model::moment::{SKEW, later};
use crate::model::snapshot::{Calibration, Control, Probe, ProbeVerdict};
use crate::world::error::{Error, Result};
use crate::world::http::Answer;
use crate::world::secret::ends;

const OPERATION: &str = "probe";

/// Learns how the service answers the real token, a made-up one and none.
pub async fn calibrate(client: &Client, at: Timestamp) -> Result<Calibration> {
    let doing = format!("calibrating the revocation probe at {}", client.shown());
    let malformed = |why: String| Error::Malformed { doing: doing.clone(), why };
    let token = client.token()?;
    let mut url = client.first(Kind::Users, &doing)?;

    let mut good = heard(client, &doing, &url, Some(&token)).await?;
    if refuses_paging(good.status.as_u16()) {
        url = client.bare(Kind::Users, &doing)?;
        good = heard(client, &doing, &url, Some(&token)).await?;
    }
    if good.status != http::StatusCode::OK {
        return Err(refused_early(client.refusal(&doing, &good, &token)));
    }
    wire::page(&good.body).map_err(malformed)?;

    let mut control = Control::Alike;
    let mut fresh = made_up(&token, control);
    let mut bad = heard(client, &doing, &url, Some(&fresh)).await?;
    if bad.status.is_success() && has_form(&token) {
        // It looks at no signature. One that was let in is no bad one to a service that counts those.
        control = Control::Garbled;
        fresh = made_up(&token, control);
        bad = heard(client, &doing, &url, Some(&fresh)).await?;
    }
    if bad.status.is_success() {
        return Err(malformed(
            "a made-up token is accepted too: the service checks no token, so no revocation can be proven".into(),
        ));
    }
    // Twice: an answer of the moment must not become what is believed for good.
    let again = heard(client, &doing, &url, Some(&made_up(&token, control))).await?;
    let (bad_token, bad_token_too) = two_ways(&signature(&bad), &signature(&again)).map_err(malformed)?;
    let nobody = without_token(client, &doing)?;
    let liveness = heard(client, &doing, &nobody, None).await?;
    let again = heard(client, &doing, &nobody, None).await?;
    if again.status != liveness.status {
        return Err(malformed(format!(
            "/ServiceProviderConfig without a token is answered {}, then {}",
            liveness.status.as_u16(),
            again.status.as_u16()
        )));
    }
    for (answer, token) in [(&bad, &fresh), (&liveness, &token)] {
        let is_of_the_moment = answer.status.is_server_error() && answer.status != http::StatusCode::INTERNAL_SERVER_ERROR;
        if is_of_the_moment {
            return Err(client.refusal(&doing, answer, token));
        }
    }
    let liveness = liveness.status.as_u16();
    tells(&bad_token, liveness).map_err(malformed)?;
    let no_such = missing::learn(client, &doing, &token).await?;
    let (url, token, no_such) = (url.into(), tag(&token), Some(no_such));
    Ok(Calibration { url, token, bad_token, bad_token_too, control, liveness, no_such, at })
}

/// One answer for good: what a service over its rate says is told of nobody's token.
async fn heard(client: &Client, doing: &str, url: &Url, token: Option<&SecretString>) -> Result<Answer> {
    let answer = client.get_patiently(OPERATION, doing, url, token).await?;
    match asks_to_wait(&answer) {
        Some(retry_after) => Err(client.throttled(doing, retry_after)),
        None => Ok(answer),
    }
}

/// It was made for this URL and this token; where they can't be told, it was not.
pub fn fits(client: &Client, calibration: &Calibration) -> bool {
    let is_it = |url: Result<Url>| url.is_ok_and(|url| url.as_str() == calibration.url);
    let doing = "reading the SCIM URL";
    let url = is_it(client.first(Kind::Users, doing)) || is_it(client.bare(Kind::Users, doing));
    url && client.token().is_ok_and(|token| tag(&token) == calibration.token)
}

/// One round: the real token, and only if it is refused as expected a made-up one and none.
pub async fn probe(client: &Client, calibration: &Calibration, at: Timestamp) -> Probe {
    let doing = format!("probing {}", client.shown());
    let (verdict, detail) = match round(client, &doing, calibration, at).await {
        Ok(round) => {
            let (verdict, why) = judge(calibration, &round);
            let Round { real, fresh, liveness, .. } = &round;
            let sent = format!("GET {}/Users with our token: {real}; with a made-up one: {fresh}", client.shown());
            (verdict, format!("{sent}; /ServiceProviderConfig with none: {liveness}; {why}"))
        }
        Err(error) => (ProbeVerdict::Inconclusive, format!("nothing was sent: {error}")),
    };
    Probe { at, verdict, detail }
}

async fn round(client: &Client, doing: &str, calibration: &Calibration, at: Timestamp) -> Result<Round> {
    let token = client.token()?;
    let bare = client.bare(Kind::Users, doing)?;
    let url = if bare.as_str() == calibration.url { bare } else { client.first(Kind::Users, doing)? };
    let liveness = without_token(client, doing)?;
    let answer = client.get_patiently(OPERATION, doing, &url, Some(&token)).await;
    // The service's clock says what has expired there, where it was heard.
    let now = match &answer {
        Ok(answer) => answer.at.unwrap_or(at),
        Err(_) => at,
    };
    let expired = ends(&token).filter(|end| *end <= later(now, SKEW));
    let (real, fresh, up) = (Heard::from(answer), Heard::NotAsked, Heard::NotAsked);
    let mut round = Round { url: url.clone().into(), token: tag(&token), expired, real, fresh, liveness: up };
    // No made-up tokens without need: a service may lock us out for them.
    if expired.is_none() && round.real.signature().is_some_and(|real| calibration.is_no(real)) {
        round.liveness = Heard::from(client.get_patiently(OPERATION, doing, &liveness, None).await);
        if round.liveness.status() == Some(calibration.liveness) {
            let fresh = made_up(&token, calibration.control);
            round.fresh = Heard::from(client.get_patiently(OPERATION, doing, &url, Some(&fresh)).await);
        }
    }
    Ok(round)
}

fn without_token(client: &Client, doing: &str) -> Result<Url> {
    client.address(doing, &["ServiceProviderConfig"], &[])
}

/// Names the remedy where the token is already refused before anything was proven.
fn refused_early(error: Error) -> Error {
    match error {
        Error::Denied { doing, status, code, message, request_id } => {
            let remedy = "the token must be good before it is revoked: put a valid one into both Entra and the file";
            Error::Denied { doing, status, code, message: format!("{message}; {remedy}"), request_id }
        }
        other => other,
    }
}

/// 32 bits: enough to notice another token, too few to find one.
fn tag(token: &SecretString) -> String {
    let tag = Uuid::new_v5(&Uuid::NAMESPACE_URL, token.expose_secret().as_bytes());
    format!("{:08x}", tag.as_fields().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_stable_and_short() {
        let (a, b) = (SecretString::from("token-a"), SecretString::from("token-b"));
        assert_eq!(tag(&a), tag(&a));
        assert_ne!(tag(&a), tag(&b));
        assert_eq!(tag(&a).len(), 8);
    }
}
