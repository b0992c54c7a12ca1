//! Answers in the form of SCIM, and what one says that does not do as asked.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) scim_type: Option<&'static str>,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, scim_type: Option<&'static str>, detail: impl Into<String>) -> Self {
        Failure { status, scim_type, detail: detail.into() }
    }

    pub(super) fn invalid(scim_type: &'static str, detail: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, Some(scim_type), detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, None, format!("{what} not found"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = json!({"schemas": [ERROR], "status": self.status.as_str(), "detail": self.detail});
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = scim_type.into();
        }
        scim(self.status, &body)
    }
}

pub(super) fn scim(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/scim+json")], body.to_string()).into_response()
}
