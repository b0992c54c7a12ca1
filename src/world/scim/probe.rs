//! Proves that the token is refused because it is dead, and for no other reason; whatever else happens proves nothing.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;

use super::client::{Client, Kind, refuses_paging};
use super::missing;
use super::wire::{self, signature};
use crate::model::snapshot::{BodyShape, Calibration, Probe, ProbeVerdict, Signature};
use crate::world::error::{Error, Result};
use crate::world::http::Answer;

const OPERATION: &str = "probe";

/// Learns how the service answers the real token, a made-up one and none.
pub async fn calibrate(client: &Client, at: Timestamp) -> Result<Calibration> {
    let doing = format!("calibrating the revocation probe at {}", client.shown());
    let malformed = |why: String| Error::Malformed { doing: doing.clone(), why };
    let token = client.token()?;
    let mut url = client.first(Kind::Users, &doing)?;

    let mut good = client.get(OPERATION, &doing, &url, Some(&token)).await?;
    if refuses_paging(good.status.as_u16()) {
        url = client.bare(Kind::Users, &doing)?;
        good = client.get(OPERATION, &doing, &url, Some(&token)).await?;
    }
    if good.status != http::StatusCode::OK {
        return Err(refused_early(client.refusal(&doing, &good, &token)));
    }
    wire::page(&good.body).map_err(malformed)?;

    let fresh = made_up(&token);
    let bad = client.get(OPERATION, &doing, &url, Some(&fresh)).await?;
    if bad.status.is_success() {
        return Err(malformed(
            "a made-up token is accepted too: the service checks no token, so no revocation can be proven".into(),
        ));
    }
    // Twice: an answer of the moment must not become what is believed for good.
    let again = client.get(OPERATION, &doing, &url, Some(&made_up(&token))).await?;
    if signature(&again) != signature(&bad) {
        let (first, then) = (in_words(&signature(&bad)), in_words(&signature(&again)));
        return Err(malformed(format!("two made-up tokens are answered differently: {first}, then {then}")));
    }
    let nobody = without_token(client, &doing)?;
    let liveness = client.get(OPERATION, &doing, &nobody, None).await?;
    let again = client.get(OPERATION, &doing, &nobody, None).await?;
    if again.status != liveness.status {
        return Err(malformed(format!(
            "/ServiceProviderConfig without a token is answered {}, then {}",
            liveness.status.as_u16(),
            again.status.as_u16()
        )));
    }
    for (answer, token) in [(&bad, &fresh), (&liveness, &token)] {
        if answer.status.is_server_error() || answer.status.as_u16() == 429 {
            return Err(client.refusal(&doing, answer, token));
        }
    }
    let (bad_token, liveness) = (signature(&bad), liveness.status.as_u16());
    tells(&bad_token, liveness).map_err(malformed)?;
    let no_such = missing::learn(client, &doing, &token).await?;
    Ok(Calibration { url: url.into(), token: tag(&token), bad_token, liveness, no_such: Some(no_such), at })
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
    let (verdict, detail) = match round(client, &doing, calibration).await {
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

async fn round(client: &Client, doing: &str, calibration: &Calibration) -> Result<Round> {
    let token = client.token()?;
    let bare = client.bare(Kind::Users, doing)?;
    let url = if bare.as_str() == calibration.url { bare } else { client.first(Kind::Users, doing)? };
    let liveness = without_token(client, doing)?;
    let real = Heard::from(client.get(OPERATION, doing, &url, Some(&token)).await);
    let mut round =
        Round { url: url.clone().into(), token: tag(&token), real, fresh: Heard::NotAsked, liveness: Heard::NotAsked };
    // No made-up tokens without need: a service may lock us out for them.
    if round.real.signature() == Some(&calibration.bad_token) {
        round.fresh = Heard::from(client.get(OPERATION, doing, &url, Some(&made_up(&token))).await);
        round.liveness = Heard::from(client.get(OPERATION, doing, &liveness, None).await);
    }
    Ok(round)
}

fn without_token(client: &Client, doing: &str) -> Result<Url> {
    client.address(doing, &["ServiceProviderConfig"], &[])
}

/// What one round brought.
struct Round {
    url: String,
    token: String,
    real: Heard,
    fresh: Heard,
    liveness: Heard,
}

/// What came back.
#[derive(Clone, Debug)]
enum Heard {
    Answer(Signature),
    /// 200 with a proper list.
    List,
    Silence(String),
    NotAsked,
}

impl Heard {
    fn from(result: Result<Answer>) -> Self {
        match result {
            Ok(answer) if answer.status == http::StatusCode::OK && wire::page(&answer.body).is_ok() => Heard::List,
            Ok(answer) => Heard::Answer(signature(&answer)),
            Err(Error::Unreachable { cause, .. }) => Heard::Silence(format!("no connection ({cause})")),
            Err(error) => Heard::Silence(error.label().to_owned()),
        }
    }

    fn signature(&self) -> Option<&Signature> {
        match self {
            Heard::Answer(signature) => Some(signature),
            Heard::List | Heard::Silence(_) | Heard::NotAsked => None,
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Heard::Answer(signature) => Some(signature.status),
            Heard::List => Some(200),
            Heard::Silence(_) | Heard::NotAsked => None,
        }
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Heard::Answer(signature) => f.write_str(&in_words(signature)),
            Heard::List => f.write_str("200 with a list"),
            Heard::Silence(why) => write!(f, "no answer: {why}"),
            Heard::NotAsked => f.write_str("not asked"),
        }
    }
}

/// What helps where the service answers otherwise for good than it did when it was asked.
const ANEW: &str = "; if that stays so, put a valid token into the token file for one look, so that the probe is calibrated again, and delete that one";

/// Rejected only where nothing but a dead token explains the round.
fn judge(calibration: &Calibration, round: &Round) -> (ProbeVerdict, String) {
    if matches!(round.real, Heard::List) {
        return (ProbeVerdict::Answers, "our token still opens the list".into());
    }
    let bad = in_words(&calibration.bad_token);
    let doubt = if round.url != calibration.url {
        "the SCIM URL is not the one that was calibrated".to_owned()
    } else if round.token != calibration.token {
        "the token in the file is not the one that was calibrated; keep that one in the file until the end".to_owned()
    } else if let Err(why) = tells(&calibration.bad_token, calibration.liveness) {
        format!("the calibration proves nothing: {why}")
    } else if round.real.signature() != Some(&calibration.bad_token) {
        format!("a bad token is answered differently here ({bad}){ANEW}")
    } else if round.fresh.signature() != Some(&calibration.bad_token) {
        format!("a made-up token is not answered now as it was when calibrated ({bad}){ANEW}")
    } else if round.liveness.status() != Some(calibration.liveness) {
        format!("the service does not look up: without a token it answered {} when calibrated{ANEW}", calibration.liveness)
    } else {
        return (ProbeVerdict::Rejected, "our token is refused like one that never existed, and the service is up".into());
    };
    (ProbeVerdict::Inconclusive, doubt)
}

/// Whether these answers can tell a refused token from every other trouble.
fn tells(bad: &Signature, liveness: u16) -> Result<(), String> {
    let Signature { status, body } = bad;
    let refusal = match (status, body) {
        (_, BodyShape::Html) => false,
        (401, _) => true,
        // These speak of a proxy, a method, time or load, never of a token.
        (405 | 407 | 408 | 421 | 425 | 426 | 429 | 431, _) => false,
        (400..=499, BodyShape::ScimError | BodyShape::Json) => true,
        _ => false,
    };
    if !refusal {
        let why = match body {
            BodyShape::Html => {
                "as by a sign-in page or a gateway in front of the service; let the SCIM path through to the service without a sign-in"
            }
            _ => {
                "which could be anything; it takes a 401, or another 4xx with JSON: have the app's vendor answer an unknown token so"
            }
        };
        return Err(format!("a made-up token is answered {}, {why}", in_words(bad)));
    }
    if !matches!(liveness, 200..=299 | 400..=499) || matches!(liveness, 407 | 408 | 429) {
        return Err(format!(
            "/ServiceProviderConfig without a token is answered {liveness}, which does not show that the service is up"
        ));
    }
    if *status != 401 && *status == liveness {
        return Err(format!(
            "/ServiceProviderConfig without a token is answered {liveness} like a made-up token: a dead service would look the same"
        ));
    }
    Ok(())
}

fn in_words(signature: &Signature) -> String {
    let body = match signature.body {
        BodyShape::Empty => "without a body",
        BodyShape::ScimError => "with a SCIM error",
        BodyShape::Json => "with JSON",
        BodyShape::Text => "with text",
        BodyShape::Html => "with HTML",
    };
    format!("{} {body}", signature.status)
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

/// A token that never existed, of the same length and kinds of characters as the real one.
fn made_up(token: &SecretString) -> SecretString {
    SecretString::from(missing::alike(token.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example/scim/Users?startIndex=1&count=1";
    use BodyShape::{Empty, Html, Json, ScimError, Text};
    use ProbeVerdict::{Answers, Inconclusive, Rejected};

    fn answer(status: u16, body: BodyShape) -> Heard {
        Heard::Answer(Signature { status, body })
    }

    fn silence(why: &str) -> Heard {
        Heard::Silence(why.into())
    }

    fn calibrated(status: u16, body: BodyShape, liveness: u16) -> Calibration {
        let bad_token = Signature { status, body };
        Calibration { url: URL.into(), token: "t".into(), bad_token, liveness, no_such: None, at: Timestamp::UNIX_EPOCH }
    }

    fn round(real: Heard, fresh: Heard, liveness: Heard) -> Round {
        Round { url: URL.into(), token: "t".into(), real, fresh, liveness }
    }

    #[test]
    fn only_a_refused_token_at_a_living_service_is_rejected() {
        let usual = || calibrated(401, ScimError, 200);
        let (no, up) = (|| answer(401, ScimError), || answer(200, Json));
        for (name, calibration, round, expected) in [
            ("revoked", usual(), round(no(), no(), up()), Rejected),
            ("answers", usual(), round(Heard::List, no(), up()), Answers),
            ("answers, whatever else", usual(), round(Heard::List, Heard::NotAsked, silence("timed-out")), Answers),
            ("time-out", usual(), round(silence("timed-out"), no(), up()), Inconclusive),
            ("DNS", usual(), round(silence("no connection (name not found)"), no(), up()), Inconclusive),
            ("connection refused", usual(), round(silence("no connection (refused)"), silence("x"), silence("x")), Inconclusive),
            ("TLS", usual(), round(silence("no connection (certificate)"), no(), up()), Inconclusive),
            ("302", usual(), round(answer(302, Empty), answer(302, Empty), up()), Inconclusive),
            ("307", usual(), round(answer(307, ScimError), answer(307, ScimError), up()), Inconclusive),
            ("HTML 200", usual(), round(answer(200, Html), answer(200, Html), answer(200, Html)), Inconclusive),
            ("JSON 200 that is no list", usual(), round(answer(200, Json), no(), up()), Inconclusive),
            ("HTML 401", usual(), round(answer(401, Html), answer(401, Html), up()), Inconclusive),
            (
                "HTML 401 even if calibrated",
                calibrated(401, Html, 200),
                round(answer(401, Html), answer(401, Html), up()),
                Inconclusive,
            ),
            ("other 401", usual(), round(answer(401, Text), answer(401, Text), up()), Inconclusive),
            ("403", usual(), round(answer(403, ScimError), answer(403, ScimError), up()), Inconclusive),
            ("403 page of a firewall", usual(), round(answer(403, Html), answer(403, Html), answer(403, Html)), Inconclusive),
            ("404", usual(), round(answer(404, ScimError), answer(404, ScimError), up()), Inconclusive),
            ("404 everywhere", usual(), round(answer(404, Text), answer(404, Text), answer(404, Text)), Inconclusive),
            ("407", usual(), round(answer(407, Empty), answer(407, Empty), up()), Inconclusive),
            ("429", usual(), round(answer(429, Json), answer(429, Json), up()), Inconclusive),
            ("500", usual(), round(answer(500, ScimError), answer(500, ScimError), up()), Inconclusive),
            ("511", usual(), round(answer(511, Html), answer(511, Html), up()), Inconclusive),
            ("control token accepted", usual(), round(no(), Heard::List, up()), Inconclusive),
            ("control token otherwise refused", usual(), round(no(), answer(403, ScimError), up()), Inconclusive),
            ("control token unheard", usual(), round(no(), silence("timed-out"), up()), Inconclusive),
            ("control token not sent", usual(), round(no(), Heard::NotAsked, up()), Inconclusive),
            ("service down", usual(), round(no(), no(), answer(503, Text)), Inconclusive),
            ("service changed", usual(), round(no(), no(), no()), Inconclusive),
            ("liveness unheard", usual(), round(no(), no(), silence("timed-out")), Inconclusive),
            (
                "protected config",
                calibrated(401, Empty, 401),
                round(answer(401, Empty), answer(401, Empty), answer(401, Json)),
                Rejected,
            ),
            (
                "calibrated 404",
                calibrated(404, ScimError, 200),
                round(answer(404, ScimError), answer(404, ScimError), up()),
                Rejected,
            ),
            (
                "calibrated 404, other body",
                calibrated(404, ScimError, 200),
                round(answer(404, Text), answer(404, Text), up()),
                Inconclusive,
            ),
            (
                "calibrated 404 of a moved service",
                calibrated(404, Json, 404),
                round(answer(404, Json), answer(404, Json), answer(404, Json)),
                Inconclusive,
            ),
            ("calibrated 404 text", calibrated(404, Text, 200), round(answer(404, Text), answer(404, Text), up()), Inconclusive),
            ("calibrated 403", calibrated(403, Json, 200), round(answer(403, Json), answer(403, Json), up()), Rejected),
            ("calibrated 503", calibrated(503, Json, 200), round(answer(503, Json), answer(503, Json), up()), Inconclusive),
            ("calibrated 429", calibrated(429, Json, 200), round(answer(429, Json), answer(429, Json), up()), Inconclusive),
        ] {
            let (verdict, why) = judge(&calibration, &round);
            assert_eq!(verdict, expected, "{name}: {why}");
        }
    }

    #[test]
    fn another_address_or_another_token_proves_nothing() {
        let calibration = calibrated(401, ScimError, 200);
        let rejected = || round(answer(401, ScimError), answer(401, ScimError), answer(200, Json));
        let elsewhere = Round { url: URL.replace("scim/", "scim//"), ..rejected() };
        let swapped = Round { token: "u".into(), ..rejected() };
        assert_eq!(judge(&calibration, &elsewhere).0, Inconclusive);
        assert_eq!(judge(&calibration, &swapped).0, Inconclusive);
        let elsewhere = Round { real: Heard::List, ..elsewhere };
        assert_eq!(judge(&calibration, &elsewhere).0, Answers);
    }

    #[test]
    fn a_made_up_token_looks_like_the_real_one_and_is_another() {
        for real in ["7", "deadbeef-0123", "sk_Live.AbC019+/=", "------", "ABCDEF0123456789"] {
            let secret = SecretString::from(real);
            let fake = made_up(&secret);
            let fake = fake.expose_secret();
            assert_ne!(fake, real);
            assert_eq!(fake.len(), real.len());
            if real.starts_with("dead") || real.starts_with("ABC") {
                assert!(fake.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{fake}");
            }
        }
    }

    #[test]
    fn a_tag_is_stable_and_short() {
        let (a, b) = (SecretString::from("token-a"), SecretString::from("token-b"));
        assert_eq!(tag(&a), tag(&a));
        assert_ne!(tag(&a), tag(&b));
        assert_eq!(tag(&a).len(), 8);
    }
}
