//! What one round of the probe shows: a dead token, one that answers, or nothing. No input or output.

use jiff::Timestamp;

use super::wire::{self, signature};
use crate::model::snapshot::{BodyShape, Calibration, ProbeVerdict, Signature};
use crate::world::error::{Error, Result};
use crate::world::http::Answer;

/// What one round brought.
pub struct Round {
    pub url: String,
    pub token: String,
    /// When the token ended by itself, where it has, or is about to.
    pub expired: Option<Timestamp>,
    pub real: Heard,
    pub fresh: Heard,
    pub liveness: Heard,
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Heard {
    Answer(Signature),
    /// 200 with a proper list.
    List,
    Silence(String),
    NotAsked,
}

impl Heard {
    pub fn from(result: Result<Answer>) -> Self {
        match result {
            Ok(answer) if answer.status == http::StatusCode::OK && wire::page(&answer.body).is_ok() => Heard::List,
            Ok(answer) => Heard::Answer(signature(&answer)),
            Err(Error::Unreachable { cause, .. }) => Heard::Silence(format!("no connection ({cause})")),
            Err(error) => Heard::Silence(error.label().to_owned()),
        }
    }

    pub fn signature(&self) -> Option<&Signature> {
        match self {
            Heard::Answer(signature) => Some(signature),
            Heard::List | Heard::Silence(_) | Heard::NotAsked => None,
        }
    }

    pub fn status(&self) -> Option<u16> {
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
const ANEW: &str = "; if that stays so, put a valid token into the token file for one turn, so that the probe is calibrated again, and delete that one";

/// Rejected only where nothing but a dead token explains the round.
pub fn judge(calibration: &Calibration, round: &Round) -> (ProbeVerdict, String) {
    if matches!(round.real, Heard::List) {
        return (ProbeVerdict::Answers, "our token still opens the list".into());
    }
    let bad = in_words(&calibration.bad_token);
    let doubt = if round.url != calibration.url {
        "the SCIM URL is not the one that was calibrated".to_owned()
    } else if round.token != calibration.token {
        "the token in target.tokenFile is another one than was calibrated, and the app has never taken it: put the one back that was there, or one that \
         the app takes, for one turn at least"
            .to_owned()
    } else if let Err(why) = tells(&calibration.bad_token, calibration.liveness) {
        format!("the calibration proves nothing: {why}")
    } else if let (Some(end), Heard::Answer(_)) = (round.expired, &round.real) {
        format!(
            "the token has expired by itself on {end:.0}, by what it says, or is about to: a refusal shows no deletion. Delete it in the app's settings all the \
             same; to have that proven, put a token that lasts into the token file for one turn, and delete that one too"
        )
    } else if let Heard::Silence(_) = &round.real {
        "the app did not answer: nothing is known of the token".to_owned()
    } else if !round.real.signature().is_some_and(|real| calibration.is_no(real)) {
        format!(
            "a bad token is answered differently here ({bad}){ANEW}; where the service answers every deleted token so, no probe can prove it: see in \
             the app that it is gone"
        )
    } else if round.liveness.status() != Some(calibration.liveness) {
        format!("the service does not look up: without a token it answered {} when calibrated{ANEW}", calibration.liveness)
    } else if !round.fresh.signature().is_some_and(|fresh| calibration.knows(fresh)) {
        format!("a made-up token is not answered now as it was when calibrated ({bad}){ANEW}")
    } else if round.real.signature().is_some_and(|real| calibration.knows(real)) {
        return (ProbeVerdict::Rejected, "our token is refused like one that never existed, and the service is up".into());
    } else {
        let why = "our token, which was good, is refused as no token; one that never existed is as it was, and the service is up";
        return (ProbeVerdict::Rejected, why.into());
    };
    (ProbeVerdict::Inconclusive, doubt)
}

/// Whether these answers can tell a refused token from every other trouble.
pub fn tells(bad: &Signature, liveness: u16) -> Result<(), String> {
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

pub fn in_words(signature: &Signature) -> String {
    let body = match signature.body {
        BodyShape::Empty => "without a body",
        BodyShape::ScimError => "with a SCIM error",
        BodyShape::Json => "with JSON",
        BodyShape::Text => "with text",
        BodyShape::Html => "with HTML",
    };
    format!("{} {body}", signature.status)
}

/// A service may refuse in more words than one, each with the status that is there for it; anything else is of the moment.
pub fn two_ways(first: &Signature, then: &Signature) -> Result<(Signature, Option<Signature>), String> {
    let plain = |one: &Signature| one.status == 401 && one.body != BodyShape::Html;
    match first == then {
        true => Ok((first.clone(), None)),
        false if plain(first) && plain(then) => Ok((first.clone(), Some(then.clone()))),
        false => Err(format!("two made-up tokens are answered differently: {}, then {}", in_words(first), in_words(then))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Control;

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
        Calibration {
            url: URL.into(),
            token: "t".into(),
            bad_token,
            bad_token_too: None,
            control: Control::Alike,
            liveness,
            no_such: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn round(real: Heard, fresh: Heard, liveness: Heard) -> Round {
        Round { url: URL.into(), token: "t".into(), expired: None, real, fresh, liveness }
    }

    #[test]
    fn an_app_that_is_silent_asks_for_no_other_token() {
        let (why, up) = (|| silence("no connection (refused)"), || answer(200, Json));
        let (verdict, doubt) = judge(&calibrated(401, ScimError, 200), &round(why(), why(), up()));
        assert!(verdict == Inconclusive && doubt.contains("did not answer") && !doubt.contains("token file"), "{doubt}");
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
    fn a_401_of_a_token_that_was_good_counts_while_a_made_up_one_is_refused_as_ever() {
        let usual = || calibrated(403, Json, 200);
        let (no, up) = (|| answer(403, Json), || answer(200, Json));
        for (name, calibration, round, expected) in [
            ("deleted", usual(), round(answer(401, ScimError), no(), up()), Rejected),
            ("deleted, in few words", usual(), round(answer(401, Empty), no(), up()), Rejected),
            ("like a made-up one", usual(), round(no(), no(), up()), Rejected),
            ("a page", usual(), round(answer(401, Html), no(), up()), Inconclusive),
            ("another 4xx", usual(), round(answer(404, ScimError), no(), up()), Inconclusive),
            ("the same 403, other body", usual(), round(answer(403, Text), no(), up()), Inconclusive),
            ("broken", usual(), round(answer(500, Json), no(), up()), Inconclusive),
            ("everything is 401", usual(), round(answer(401, Json), answer(401, Json), answer(401, Json)), Inconclusive),
            ("tokens are 401", usual(), round(answer(401, Json), answer(401, Json), up()), Inconclusive),
            ("the control is let in", usual(), round(answer(401, Json), Heard::List, up()), Inconclusive),
            ("the control breaks it", usual(), round(answer(401, Json), answer(500, Json), up()), Inconclusive),
            ("a firewall", usual(), round(answer(401, Json), answer(403, Html), up()), Inconclusive),
            ("down", usual(), round(answer(401, Json), no(), answer(503, Text)), Inconclusive),
            ("protected since", usual(), round(answer(401, Json), no(), answer(401, Json)), Inconclusive),
            ("unheard", usual(), round(answer(401, Json), silence("timed-out"), up()), Inconclusive),
            ("proves nothing", calibrated(500, Json, 200), round(answer(401, Json), answer(500, Json), up()), Inconclusive),
        ] {
            let (verdict, why) = judge(&calibration, &round);
            assert_eq!(verdict, expected, "{name}: {why}");
        }
    }

    #[test]
    fn two_ways_to_refuse_are_learned_where_each_is_a_401() {
        let of = |status, body| Signature { status, body };
        let (json, text) = (of(401, Json), of(401, Text));
        assert_eq!(two_ways(&json, &json), Ok((json.clone(), None)));
        assert_eq!(two_ways(&json, &text), Ok((json.clone(), Some(text.clone()))));
        for other in [of(403, Json), of(401, Html), of(500, Json)] {
            assert!(two_ways(&json, &other).unwrap_err().contains("answered differently"));
        }
        let both = Calibration { bad_token_too: Some(text), ..calibrated(401, Json, 200) };
        let round = round(answer(401, Json), answer(401, Text), answer(200, Json));
        assert_eq!(judge(&both, &round).0, Rejected);
        assert_eq!(judge(&calibrated(401, Json, 200), &round).0, Inconclusive);
    }
}
