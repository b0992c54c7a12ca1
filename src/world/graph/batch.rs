//! `$batch`: several requests in one envelope, and its answer taken apart. An item that the answer does not name is not known.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::world::error::hint;
use crate::world::http::Answer;

/// Requests in one envelope; Graph takes no more.
pub const MOST: usize = 20;

/// One request of an envelope.
pub struct Item {
    pub method: Method,
    /// Below the version, with its query.
    pub url: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Option<Value>,
}

/// Whether an item waits for the one before it, and is skipped when that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Any,
    OneByOne,
}

/// The body of the envelope; items are numbered from 1.
pub fn envelope(items: &[Item], order: Order) -> String {
    let request = |(index, item): (usize, &Item)| {
        let mut request = json!({ "id": (index + 1).to_string(), "method": item.method.as_str(), "url": item.url });
        let mut headers: BTreeMap<&str, &str> = item.headers.iter().copied().collect();
        if let Some(body) = &item.body {
            headers.insert("Content-Type", "application/json");
            request["body"] = body.clone();
        }
        if !headers.is_empty() {
            request["headers"] = json!(headers);
        }
        if order == Order::OneByOne && index > 0 {
            request["dependsOn"] = json!([index.to_string()]);
        }
        request
    };
    json!({ "requests": items.iter().enumerate().map(request).collect::<Vec<_>>() }).to_string()
}

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

/// The answers of `count` items in their order, `None` where there is none. An answer that names an item twice, or one that
/// was not asked, is none of ours.
pub fn answers(envelope: &Answer, count: usize) -> Result<Vec<Option<Answer>>, &'static str> {
    let read: Responses = serde_json::from_slice(&envelope.body).map_err(|_| "not an answer to a batch")?;
    let mut answers: Vec<Option<Answer>> = (0..count).map(|_| None).collect();
    for response in read.responses {
        let place = hint::<usize>(&response.id).and_then(|id| id.checked_sub(1)).and_then(|index| answers.get_mut(index));
        match place {
            Some(place @ None) => *place = Some(response.answer(envelope)?),
            Some(Some(_)) => return Err("a request of the batch is answered twice"),
            None => return Err("a request is answered that was not in the batch"),
        }
    }
    Ok(answers)
}

impl Response {
    /// As if it had come by itself; what it does not say of itself holds of the envelope.
    fn answer(self, envelope: &Answer) -> Result<Answer, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.into_iter().flatten() {
            let text = if let Value::String(text) = value { text } else { value.to_string() };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
                headers.insert(name, value);
            }
        }
        if let (false, Some(id)) = (headers.contains_key("request-id"), envelope.headers.get("request-id")) {
            headers.insert("request-id", id.clone());
        }
        let body = match self.body {
            None => Bytes::new(),
            // What is no JSON comes as a text.
            Some(raw) => match serde_json::from_str::<String>(raw.get()) {
                Ok(text) => text.into(),
                Err(_) => String::from(Box::<str>::from(raw)).into(),
            },
        };
        let status = StatusCode::from_u16(self.status).map_err(|_| "a request of the batch is answered without a status")?;
        Ok(Answer { status, headers, body, at: envelope.at, client_request_id: envelope.client_request_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("request-id"), HeaderValue::from_static("whole"))]);
        Answer { status: StatusCode::OK, headers, body: body.to_owned().into(), at: None, client_request_id: "c".into() }
    }

    #[test]
    fn a_chain_names_the_one_before() {
        let item = |url: &str| Item { method: Method::DELETE, url: url.into(), headers: Vec::new(), body: None };
        let sent: Value = serde_json::from_str(&envelope(&[item("/a"), item("/b")], Order::OneByOne)).unwrap();
        let expected = json!({ "requests": [
            { "id": "1", "method": "DELETE", "url": "/a" },
            { "id": "2", "method": "DELETE", "url": "/b", "dependsOn": ["1"] },
        ]});
        assert_eq!(sent, expected);
        let post = Item { method: Method::POST, url: "/c".into(), headers: Vec::new(), body: Some(json!({ "a": 1 })) };
        let sent: Value = serde_json::from_str(&envelope(&[post], Order::Any)).unwrap();
        assert_eq!(sent["requests"][0]["headers"], json!({ "Content-Type": "application/json" }));
        assert_eq!(sent["requests"][0]["body"], json!({ "a": 1 }));
    }

    #[test]
    fn answers_come_in_any_order_and_a_missing_one_is_missing() {
        let text = r#"{"responses":[{"id":"3","status":429,"headers":{"Retry-After":"7","request-id":"own"},"body":{"error":{}}},
            {"id":"1","status":204,"headers":null}]}"#;
        let answers = answers(&answer(text), 3).unwrap();
        assert_eq!(answers[0].as_ref().unwrap().status, 204);
        assert_eq!(answers[0].as_ref().unwrap().header("request-id"), Some("whole"));
        assert!(answers[0].as_ref().unwrap().body.is_empty() && answers[1].is_none());
        let third = answers[2].as_ref().unwrap();
        assert_eq!((third.header("request-id"), third.retry_after()), (Some("own"), Some(std::time::Duration::from_secs(7))));
    }

    #[test]
    fn an_answer_to_another_envelope_is_none() {
        for text in [
            r#"{"responses":[{"id":"4","status":204}]}"#,
            r#"{"responses":[{"id":"0","status":204}]}"#,
            r#"{"responses":[{"id":"a","status":204}]}"#,
            r#"{"responses":[{"id":"1","status":204},{"id":"1","status":404}]}"#,
            r#"{"responses":[{"id":"1","status":20}]}"#,
            r#"{"responses":[{"id":"1"}]}"#,
            r#"{"value":[]}"#,
            "<html>",
        ] {
            assert!(answers(&answer(text), 3).is_err(), "{text}");
        }
    }
}
