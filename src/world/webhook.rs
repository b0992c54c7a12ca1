//! The operator's webhook that deletes the token, where the app has an API for it. Called once per journaled intent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;

use super::error::{Error, Result};
use super::http::{Http, request};
use super::secret::SecretFile;
use super::{Hook, LastWord, Written};
use crate::model::spec::Webhook;

const DOING: &str = "calling the webhook that deletes the token";

/// `None` where the operator deletes the token by hand: calling it is then an error, never a silence.
pub struct RevocationHook {
    http: Http,
    webhook: Option<Webhook>,
}

impl RevocationHook {
    pub fn new(http: Http, webhook: Option<Webhook>) -> Self {
        RevocationHook { http, webhook }
    }
}

impl Hook for RevocationHook {
    async fn call(&self, idempotency_key: &str, last_word: LastWord<'_>) -> Result<Written> {
        let Some(webhook) = &self.webhook else {
            return Err(Error::Malformed { doing: DOING.into(), why: "no webhook is configured".into() });
        };
        let method = Method::from_bytes(webhook.method.as_bytes())
            .map_err(|_| Error::Malformed { doing: DOING.into(), why: format!("{:?} is no HTTP method", webhook.method) })?;
        let mut call = request(method, &webhook.url)?;
        for (name, value) in headers(&webhook.header_files)? {
            call.headers_mut().insert(name, value);
        }
        if let Ok(value) = HeaderValue::from_str(idempotency_key) {
            call.headers_mut().insert("idempotency-key", value);
        }
        if let Some(why) = last_word() {
            return Err(Error::Withheld { doing: DOING.into(), why });
        }
        let answer = self.http.send("revoke", DOING, call).await?;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            let (code, message) = (String::new(), "the webhook did not accept the call".to_owned());
            return Err(Error::Refused { doing: DOING.into(), status, code, message, request_id: None });
        }
        Ok(Written {
            // Only for the journal: no cycle is judged against it.
            at: answer.at.unwrap_or_default(),
            already: false,
            request_id: answer.header("x-request-id").map(str::to_owned),
            client_request_id: answer.client_request_id,
        })
    }
}

fn headers(files: &BTreeMap<String, PathBuf>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    files
        .iter()
        .map(|(name, path)| {
            let file = SecretFile::new(path.clone());
            let secret = file.read()?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| file.trouble("its header name is not valid"))?;
            let mut value =
                HeaderValue::from_str(secret.expose_secret()).map_err(|_| file.trouble("it can't be sent as a header value"))?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}
