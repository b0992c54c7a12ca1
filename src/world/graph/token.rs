//! Access tokens for Graph: kept, replaced early, asked for once at a time; neither a token nor what it was asked with is ever shown.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

pub use super::identity::Machine;
use super::identity::{Asking, Identity};
use super::wire::{one_line, shape};
use crate::model::snapshot::{CredentialLife, Permissions};
use crate::model::spec::Entra;
use crate::world::error::{Error, Result, hint, locked};
use crate::world::http::{Answer, Http};
use crate::world::secret::claims;

/// Where access tokens come from.
pub trait TokenSource: Send + Sync {
    fn token(&self) -> impl Future<Output = Result<SecretString>> + Send;
    /// The token was refused; the next call gets another.
    fn forget(&self);
    /// How long what we ask with is good, where that can be read.
    fn credential_life(&self) -> Option<CredentialLife> {
        None
    }
}

/// A token is replaced this long before its end, or at half of a life shorter than twice that.
const EARLY: Duration = Duration::from_secs(300);
/// After a failed replacement the old token serves this long before the next attempt.
const RETRY: Duration = Duration::from_secs(30);
/// A credential that was refused is not sent again for this long, unless the file has another.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// The machine's own service may ask for no longer wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Nobody gives out tokens for longer; keeps odd answers from overflowing the clock.
const LONGEST_LIFE: u64 = 7 * 24 * 3_600;

const DOING: &str = "getting a token";

/// The tokens of one identity.
pub struct EntraTokens {
    http: Http,
    identity: Identity,
    state: Mutex<State>,
    /// One request at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    refused: Option<Refused>,
}

struct Held {
    token: SecretString,
    fresh_until: Instant,
    dies: Instant,
}

struct Refused {
    material: SecretString,
    until: Instant,
    code: Option<u32>,
    message: String,
}

impl EntraTokens {
    pub fn new(http: Http, entra: &Entra, machine: Machine) -> Self {
        let identity = Identity::new(entra, machine);
        EntraTokens { http, identity, state: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn fresh(&self) -> Option<SecretString> {
        let state = self.state();
        state.held.as_ref().filter(|held| held.fresh_until > Instant::now()).map(|held| held.token.clone())
    }

    /// The old token, where it still lives.
    fn old(&self) -> Option<SecretString> {
        let now = Instant::now();
        let mut state = self.state();
        let held = state.held.as_mut().filter(|held| held.dies > now)?;
        held.fresh_until = held.dies.min(now + RETRY);
        Some(held.token.clone())
    }

    fn is_old_alive(&self) -> bool {
        self.state().held.as_ref().is_some_and(|held| held.dies > Instant::now())
    }

    async fn ask(&self) -> Result<Held> {
        let asking = self.identity.asking()?;
        if let Some(refused) = &self.state().refused
            && refused.until > Instant::now()
            && refused.material.expose_secret() == asking.material.expose_secret()
        {
            return Err(Error::Credential { code: refused.code, message: refused.message.clone() });
        }
        let (answer, begun) = self.send(&asking).await?;
        if answer.status.as_u16() == 200 {
            return granted(&answer, begun);
        }
        let error = self.refusal(&answer, &asking.hidden);
        if let Error::Credential { code, message } = &error {
            let until = Instant::now() + REFUSED_FOR;
            self.state().refused = Some(Refused { material: asking.material, until, code: *code, message: message.clone() });
        }
        Err(error)
    }

    /// A token's life is counted from before it was given.
    async fn send(&self, asking: &Asking) -> Result<(Answer, Instant)> {
        let mut waits = self.identity.waits();
        loop {
            let begun = Instant::now();
            let answer = self.http.send("token", DOING, asking.request.clone()).await?;
            let again = matches!(answer.status.as_u16(), 404 | 410 | 429 | 500..);
            // While the old token lives nobody has to wait for a new one.
            let Some(wait) = waits.next().filter(|_| again && !self.is_old_alive()) else { return Ok((answer, begun)) };
            let wait = wait.max(answer.retry_after().unwrap_or_default().min(LONGEST_WAIT));
            if answer.status.as_u16() == 429 {
                self.http.observer().throttled(self.http.api(), wait);
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn refusal(&self, answer: &Answer, hidden: &SecretString) -> Error {
        let status = answer.status.as_u16();
        let doing = DOING.to_owned();
        if status == 429 {
            return Error::Throttled { doing, retry_after: answer.retry_after() };
        }
        let request_id = answer.header("x-ms-request-id").map(str::to_owned);
        let Ok(refusal) = serde_json::from_slice::<WireRefusal>(&answer.body) else {
            let (code, message) = ("without an error of Entra".to_owned(), shape(&answer.body).to_owned());
            return Error::Refused { doing, status, code, message, request_id };
        };
        let (error, text) = (scrubbed(&refusal.error, hidden), scrubbed(&refusal.sentence(), hidden));
        match status {
            400 | 401 | 403 if !matches!(refusal.error.as_str(), "temporarily_unavailable" | "server_error") => {
                let code = refusal.code();
                let known = code.and_then(|code| self.identity.remedy(code));
                let message = known.unwrap_or_else(|| format!("{error}: {text}{}", self.identity.advice()));
                Error::Credential { code, message }
            }
            _ => Error::Refused { doing, status, code: error, message: text, request_id },
        }
    }
}

impl TokenSource for EntraTokens {
    async fn token(&self) -> Result<SecretString> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let _one = self.asking.lock().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        match self.ask().await {
            Ok(held) => {
                let token = held.token.clone();
                *self.state() = State { held: Some(held), refused: None };
                Ok(token)
            }
            Err(error) => match self.old() {
                Some(token) => {
                    tracing::warn!(%error, "the old token is used while it lives");
                    Ok(token)
                }
                None => Err(error),
            },
        }
    }

    fn forget(&self) {
        *self.state() = State::default();
    }

    fn credential_life(&self) -> Option<CredentialLife> {
        self.identity.life()
    }
}

/// What the token claims to allow.
pub fn permissions(token: &SecretString) -> Result<Permissions> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        roles: BTreeSet<String>,
        #[serde(default)]
        wids: BTreeSet<String>,
    }
    #[expect(clippy::disallowed_methods, reason = "it is told as an opaque token just below")]
    let claims = claims(token).and_then(|claims| serde_json::from_value::<Claims>(claims).ok());
    let Claims { roles, wids } = claims.ok_or_else(|| Error::Malformed {
        doing: "reading the permissions in the access token".into(),
        why: "the token is opaque; what it allows can't be read".into(),
    })?;
    Ok(Permissions { roles, directory_roles: wids })
}

#[derive(Deserialize)]
struct WireRefusal {
    error: String,
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl WireRefusal {
    fn code(&self) -> Option<u32> {
        self.error_codes.first().copied().or_else(|| {
            let digits = self.error_description.as_deref()?.split_once("AADSTS")?.1;
            hint(digits.split(|c: char| !c.is_ascii_digit()).next()?)
        })
    }

    /// The description's first line; ids and times follow on the others.
    fn sentence(&self) -> String {
        let text = self.error_description.as_deref().unwrap_or("no description");
        let text = text.lines().next().unwrap_or_default();
        text.split(" Trace ID:").next().unwrap_or_default().to_owned()
    }
}

fn granted(answer: &Answer, begun: Instant) -> Result<Held> {
    let malformed = |why: String| Error::Malformed { doing: DOING.into(), why };
    let grant: Value =
        serde_json::from_slice(&answer.body).map_err(|_| malformed(format!("200 with {}", shape(&answer.body))))?;
    let token = grant.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| malformed("the answer has no access_token".into()))?;
    let is_bearer = grant.get("token_type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer"));
    if !is_bearer {
        return Err(malformed("the token is not a bearer token".into()));
    }
    // Some endpoints write numbers as text, and an end instead of a life.
    let number = |name: &str| match grant.get(name) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => hint(text),
        _ => None,
    };
    let left = |end: u64| {
        let now = answer.at.unwrap_or_else(Timestamp::now).as_second();
        end.saturating_sub(now.max(0).unsigned_abs())
    };
    let seconds = number("expires_in").or_else(|| number("expires_on").map(left));
    let seconds = seconds.ok_or_else(|| malformed("the answer does not say when the token expires".into()))?;
    let life = Duration::from_secs(seconds.min(LONGEST_LIFE));
    let fresh = if life > 2 * EARLY { life - EARLY } else { life / 2 };
    Ok(Held { token: SecretString::from(token.to_owned()), fresh_until: begun + fresh, dies: begun + life })
}

fn scrubbed(text: &str, secret: &SecretString) -> String {
    let secret = secret.expose_secret();
    if secret.is_empty() {
        return one_line(text);
    }
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    one_line(&text.replace(secret, "…").replace(&encoded, "…"))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn jwt(payload: &str) -> SecretString {
        SecretString::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn permissions_are_the_claims_of_the_token() {
        let read = permissions(&jwt(r#"{"roles":["Application.Read.All"],"wids":["w"],"aud":"x"}"#)).unwrap();
        assert!(read.roles.contains("Application.Read.All") && read.directory_roles.contains("w"));
        assert_eq!(permissions(&jwt("{}")).unwrap(), Permissions::default());
    }

    #[test]
    fn an_opaque_token_has_unreadable_permissions_not_none() {
        for token in ["opaque", "a.b", "a.!!.c", "a.b.c.d", ""] {
            assert!(permissions(&SecretString::from(token.to_owned())).is_err(), "{token}");
        }
        assert!(permissions(&jwt("[]")).is_err());
    }
}
