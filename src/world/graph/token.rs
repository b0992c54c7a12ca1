//! Access tokens for Graph by client secret; the secret comes from its file each time, and neither it nor a token is ever shown.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::wire::{one_line, shape};
use crate::model::id::TenantId;
use crate::model::snapshot::Permissions;
use crate::world::error::{Error, Result};
use crate::world::http::{Answer, Http, request};
use crate::world::secret::SecretFile;

/// Where access tokens come from.
pub trait TokenSource: Send + Sync {
    fn token(&self) -> impl Future<Output = Result<SecretString>> + Send;
    /// The token was refused; the next call gets another.
    fn forget(&self);
}

/// A token is replaced this long before its end, or at half of a life shorter than twice that.
const EARLY: Duration = Duration::from_secs(300);
/// After a failed replacement the old token serves this long before the next attempt.
const RETRY: Duration = Duration::from_secs(30);
/// A secret that was refused is not sent again for this long, unless the file has another.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Nobody gives out tokens for longer; keeps odd answers from overflowing the clock.
const LONGEST_LIFE: u64 = 7 * 24 * 3_600;

const DOING: &str = "getting a token";

/// The client credentials flow with a secret from a file, read afresh for every request.
pub struct ClientSecret {
    http: Http,
    url: Url,
    tenant: TenantId,
    client_id: Uuid,
    secret: SecretFile,
    scope: String,
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
    secret: SecretString,
    until: Instant,
    code: Option<u32>,
    message: String,
}

impl ClientSecret {
    /// `authority` and `graph` are roots, without tenant and version.
    pub fn new(http: Http, authority: &Url, tenant: TenantId, client_id: Uuid, secret: SecretFile, graph: &Url) -> Self {
        let mut url = authority.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([tenant.to_string().as_str(), "oauth2", "v2.0", "token"]);
        }
        let scope = format!("{}/.default", graph.as_str().trim_end_matches('/'));
        ClientSecret {
            http,
            url,
            tenant,
            client_id,
            secret,
            scope,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn ask(&self) -> Result<Held> {
        let secret = self.secret.read()?;
        if let Some(refused) = &self.state().refused
            && refused.until > Instant::now()
            && refused.secret.expose_secret() == secret.expose_secret()
        {
            return Err(Error::Credential { code: refused.code, message: refused.message.clone() });
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id.to_string())
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("scope", &self.scope)
            .finish();
        let mut request = request(Method::POST, &self.url)?;
        *request.body_mut() = Bytes::from(form);
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // A token's life is counted from before it was given.
        let begun = Instant::now();
        let answer = self.http.send("token", DOING, request).await?;
        if answer.status.as_u16() == 200 {
            return granted(&answer, begun);
        }
        let error = self.refusal(&answer, &secret);
        if let Error::Credential { code, message } = &error {
            let until = Instant::now() + REFUSED_FOR;
            self.state().refused = Some(Refused { secret, until, code: *code, message: message.clone() });
        }
        Err(error)
    }

    fn refusal(&self, answer: &Answer, secret: &SecretString) -> Error {
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
        let (error, text) = (scrubbed(&refusal.error, secret), scrubbed(&refusal.sentence(), secret));
        match status {
            400 | 401 | 403 if !matches!(refusal.error.as_str(), "temporarily_unavailable" | "server_error") => {
                let code = refusal.code();
                let message = code.and_then(|code| self.remedy(code)).unwrap_or_else(|| format!("{error}: {text}"));
                Error::Credential { code, message }
            }
            _ => Error::Refused { doing, status, code: error, message: text, request_id },
        }
    }

    /// What is wrong and what to do about it, for the codes that operators meet.
    fn remedy(&self, code: u32) -> Option<String> {
        let (client, tenant) = (self.client_id, self.tenant);
        let sentence = match code {
            7000215 => "the client secret is wrong; put the secret's value, not its id, into clientSecretFile".to_owned(),
            7000222 => "the client secret has expired; create a new one and put it into clientSecretFile".to_owned(),
            700016 => format!("there is no application {client} in tenant {tenant}; check clientId and tenantId"),
            90002 => format!("there is no tenant {tenant}; check tenantId and cloud"),
            700027 => format!("the assertion's signature is not accepted; register its certificate with application {client}"),
            700021 | 700023 => "the assertion's subject or audience is wrong; check clientId and tenantId".to_owned(),
            _ => return None,
        };
        Some(format!("{sentence} (AADSTS{code})"))
    }
}

impl TokenSource for ClientSecret {
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
    let mut parts = token.expose_secret().split('.');
    let claims = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(payload), Some(_), None) => URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok(),
        _ => None,
    };
    let claims = claims.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok()).filter(Value::is_object);
    let claims = claims.and_then(|claims| serde_json::from_value::<Claims>(claims).ok());
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
            digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
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
    let seconds = match grant.get("expires_in") {
        Some(Value::Number(number)) => number.as_u64(),
        // Some endpoints write the number as text.
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let seconds = seconds.ok_or_else(|| malformed("the answer does not say when the token expires".into()))?;
    let life = Duration::from_secs(seconds.min(LONGEST_LIFE));
    let fresh = if life > 2 * EARLY { life - EARLY } else { life / 2 };
    Ok(Held { token: SecretString::from(token.to_owned()), fresh_until: begun + fresh, dies: begun + life })
}

fn scrubbed(text: &str, secret: &SecretString) -> String {
    let secret = secret.expose_secret();
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    one_line(&text.replace(secret, "…").replace(&encoded, "…"))
}

#[cfg(test)]
mod tests {
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
