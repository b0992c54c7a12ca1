//! Access tokens: given out for the right secret or a fitting assertion, whose signature is not looked at; JWT-shaped, with a
//! signature that means nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::later;
use super::scenario::{ClientSecret, Scenario, TargetToken};
use super::seed::Ids;

/// Everything that may be done with a token, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    permissions: BTreeSet<String>,
    directory_roles: BTreeSet<String>,
    expires: Timestamp,
}

/// Template of the directory role that may do everything, whatever the permissions say.
const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

impl Claims {
    /// Every set must be met by one of its permissions.
    pub fn allow(&self, needs: &[&[&str]]) -> bool {
        self.directory_roles.contains(GLOBAL_ADMINISTRATOR)
            || needs.iter().all(|any| any.is_empty() || any.iter().any(|one| self.permissions.contains(*one)))
    }
}

pub(crate) struct Tokens {
    pub permissions: BTreeSet<String>,
    pub secret_state: ClientSecret,
    directory_roles: BTreeSet<String>,
    secret: String,
    /// Real seconds.
    lifetime: u64,
    issued: BTreeMap<String, Claims>,
    count: u64,
    names: super::chance::Names,
}

impl Tokens {
    pub fn new(scenario: &Scenario, names: super::chance::Names) -> Self {
        Tokens {
            permissions: scenario.permissions.iter().cloned().collect(),
            directory_roles: scenario.directory_roles.iter().cloned().collect(),
            secret_state: scenario.client_secret,
            secret: format!("practice~{}", names.id("client/secret").simple()),
            lifetime: scenario.token_lifetime,
            issued: BTreeMap::new(),
            count: 0,
            names,
        }
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The bearer's claims, if the token is ours and still good.
    pub fn claims(&self, bearer: &str, now: Timestamp) -> Option<Claims> {
        self.issued.get(bearer).filter(|claims| now < claims.expires).cloned()
    }

    /// From now on no token given out so far is good.
    pub fn forget(&mut self) {
        self.issued.clear();
    }

    /// Answers a token request. A token lives for real seconds, which are `speed` times as many virtual ones.
    pub fn answer(
        &mut self,
        tenant: &str,
        form: &BTreeMap<String, String>,
        ids: &Ids,
        now: Timestamp,
        speed: f64,
    ) -> (u16, Value) {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let refuse = |status: u16, error: &str, code: u32, text: String| {
            let trace = self.names.id(&format!("trace/{now}"));
            let body = json!({
                "error": error, "error_description": format!("AADSTS{code}: {text} Trace ID: {trace}"), "error_codes": [code],
                "timestamp": now.strftime("%Y-%m-%d %H:%M:%SZ").to_string(), "trace_id": trace, "correlation_id": trace,
                "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
            });
            (status, body)
        };
        if tenant != ids.tenant.to_string() {
            return refuse(400, "invalid_request", 90002, format!("Tenant '{tenant}' not found."));
        }
        if field("grant_type") != "client_credentials" {
            return refuse(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.".into());
        }
        if field("client_id") != ids.client.to_string() {
            let text = format!("Application with identifier '{}' was not found in the directory.", field("client_id"));
            return refuse(400, "unauthorized_client", 700_016, text);
        }
        if !field("scope").ends_with("/.default") {
            return refuse(400, "invalid_scope", 1_002_012, "The provided value for scope is not valid.".into());
        }
        if let Some(assertion) = form.get("client_assertion") {
            if let Err((code, text)) = fits(assertion, field("client_assertion_type"), ids) {
                return refuse(401, "invalid_client", code, text.into());
            }
            return self.granted(ids, now, speed);
        }
        if self.secret_state == ClientSecret::Expired {
            return refuse(401, "invalid_client", 7_000_222, "The provided client secret keys are expired.".into());
        }
        if field("client_secret") != self.secret {
            return refuse(401, "invalid_client", 7_000_215, "Invalid client secret provided.".into());
        }
        self.granted(ids, now, speed)
    }

    fn granted(&mut self, ids: &Ids, now: Timestamp, speed: f64) -> (u16, Value) {
        let token = self.issue(ids, now, speed);
        (
            200,
            json!({"token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime, "access_token": token}),
        )
    }

    fn issue(&mut self, ids: &Ids, now: Timestamp, speed: f64) -> String {
        let expires = later(now, Duration::from_secs(self.lifetime).mul_f64(speed));
        self.count += 1;
        let unique = self.names.id(&format!("token/{}", self.count));
        let claims = json!({
            "aud": "https://graph.microsoft.com", "iss": format!("https://sts.windows.net/{}/", ids.tenant),
            "iat": now.as_second(), "nbf": now.as_second(), "exp": expires.as_second(),
            "appid": ids.client, "oid": Uuid::new_v5(&ids.client, b"oid"), "tid": ids.tenant, "idtyp": "app",
            "roles": self.permissions, "wids": self.directory_roles, "uti": unique.simple().to_string(), "ver": "1.0",
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(&json!({"typ": "JWT", "alg": "RS256", "kid": "practice"}));
        let token = format!("{head}.{}.{}", part(&claims), URL_SAFE_NO_PAD.encode(unique.as_bytes().repeat(16)));
        let (permissions, directory_roles) = (self.permissions.clone(), self.directory_roles.clone());
        self.issued.insert(token.clone(), Claims { permissions, directory_roles, expires });
        token
    }
}

/// The token of the app's SCIM service, as the scenario has it.
pub(crate) fn of_target(scenario: &Scenario, names: super::chance::Names) -> String {
    let unique = names.id("scim/token");
    if scenario.target.token == TargetToken::Opaque {
        return format!("scim~{}", unique.simple());
    }
    let mut claims = json!({"sub": "scim", "jti": unique, "iat": scenario.start.as_second()});
    if let Some(life) = scenario.target.token_ends {
        claims["exp"] = later(scenario.start, life).as_second().into();
    }
    let signature: Vec<u8> = (0..4).flat_map(|n| *names.id(&format!("scim/token/{n}")).as_bytes()).collect();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({"alg": "HS512", "typ": "JWT"}));
    format!("{head}.{}.{}", part(&claims), URL_SAFE_NO_PAD.encode(signature))
}

/// An assertion that the app signed itself with a certificate, or a federated token.
fn fits(assertion: &str, kind: &str, ids: &Ids) -> Result<(), (u32, &'static str)> {
    let payload = assertion.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = payload.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok());
    let Some(claims) = claims.filter(|_| kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") else {
        return Err((50_027, "JWT token is invalid or malformed."));
    };
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let client = ids.client.to_string();
    if claim("iss") != client {
        let audience = "api://AzureADTokenExchange";
        let is_meant =
            claims["aud"] == audience || claims["aud"].as_array().is_some_and(|all| all.iter().any(|one| one == audience));
        return if is_meant {
            Ok(())
        } else {
            Err((700_212, "No matching federated identity record found for presented assertion audience."))
        };
    }
    if claim("sub") != client {
        return Err((700_021, "Client assertion application identifier doesn't match 'client_id' parameter."));
    }
    if !claim("aud").ends_with(&format!("/{}/oauth2/v2.0/token", ids.tenant)) {
        return Err((700_023, "Client assertion audience claim does not match Realm issuer."));
    }
    Ok(())
}
