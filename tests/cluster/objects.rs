//! Any object, and waiting for one.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::Value;

/// Server-side apply of any object.
pub async fn apply(client: &Client, object: Value) {
    try_apply(client, object).await.unwrap();
}

pub async fn delete(client: &Client, object: &Value) {
    let request = http::Request::delete(path(object)).body(Vec::new()).unwrap();
    client.request::<Value>(request).await.unwrap();
}

pub async fn try_apply(client: &Client, object: Value) -> kube::Result<Value> {
    let path = path(&object);
    let request = http::Request::patch(format!("{path}?fieldManager=test&force=true&fieldValidation=Strict"));
    client
        .request(request.header("content-type", "application/apply-patch+yaml").body(object.to_string().into_bytes()).unwrap())
        .await
}

pub fn path(object: &Value) -> String {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let plural = format!("{}s", text("/kind").unwrap().to_lowercase());
    let plural = if plural.ends_with("ys") { plural.replace("ys", "ies") } else { plural };
    let name = text("/metadata/name").unwrap();
    match text("/metadata/namespace") {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{plural}/{name}"),
    }
}

/// Asks again until there is an answer.
pub async fn until<T>(what: &str, within: Duration, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = asked().await {
            return found;
        }
        assert!(begun.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
