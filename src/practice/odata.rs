//! The forms of Graph's answers: error envelopes, pages, `$select`. It knows no resource.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const CONTEXT: &str = "https://graph.microsoft.com/v1.0/$metadata#";

/// An answer before it has its request ids and stamps.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Body,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Text(String),
    /// No answer ever comes.
    Lost,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Reply { status, body: Body::Json(body), headers: Vec::new() }
    }

    pub fn text(text: String) -> Self {
        Reply { status: 200, body: Body::Text(text), headers: Vec::new() }
    }

    /// 204.
    pub fn done() -> Self {
        Reply { status: 204, body: Body::Empty, headers: Vec::new() }
    }

    /// One object with its context.
    pub fn object(status: u16, context: &str, object: Value) -> Self {
        let mut body = Map::from_iter([("@odata.context".to_owned(), json!(format!("{CONTEXT}{context}")))]);
        if let Value::Object(object) = object {
            body.extend(object);
        }
        Reply::json(status, Value::Object(body))
    }

    pub fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Reply::json(status, json!({"error": {"code": code, "message": message.into()}}))
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Reply::error(400, "Request_BadRequest", message)
    }

    pub fn not_found(id: &str) -> Self {
        let message = format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
        Reply::error(404, "Request_ResourceNotFound", message)
    }

    pub fn denied() -> Self {
        Reply::error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    }

    /// Fills in what every error of the service names.
    pub fn with_ids(mut self, date: &str, request_id: Uuid, client_request_id: &str) -> Self {
        if let Body::Json(body) = &mut self.body
            && let Some(error) = body.get_mut("error").filter(|error| error.is_object())
        {
            error["innerError"] =
                json!({"date": date, "request-id": request_id.to_string(), "client-request-id": client_request_id});
        }
        self
    }
}

/// Query options, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub fn parse(raw: &str) -> Self {
        Query(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn select(&self) -> Option<Vec<&str>> {
        self.get("$select").map(|list| list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect())
    }

    /// What a page token belongs to.
    fn fingerprint(&self) -> String {
        let rest: Vec<_> = self.0.iter().filter(|(name, _)| *name != "$skiptoken").collect();
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{rest:?}").as_bytes()).simple().to_string()
    }

    fn with_token(&self, token: &str) -> String {
        let pairs = self.0.iter().filter(|(name, _)| *name != "$skiptoken");
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).append_pair("$skiptoken", token).finish()
    }
}

/// Keeps the selected properties, or the default ones; an unknown name is refused.
pub(crate) fn select(object: Value, kind: &str, query: &Query, defaults: &[&str]) -> Result<Value, Reply> {
    match query.select().unwrap_or_default().into_iter().find(|name| object.get(name).is_none()) {
        None => Ok(pick(object, query, defaults)),
        Some(unknown) => {
            let text = format!("Could not find a property named '{unknown}' on type 'microsoft.graph.{kind}'.");
            Err(Reply::error(400, "BadRequest", text))
        }
    }
}

/// The same for an item of a mixed list, where a property that its kind lacks is just not there.
pub(crate) fn pick(object: Value, query: &Query, defaults: &[&str]) -> Value {
    let wanted = query.select().unwrap_or_else(|| defaults.to_vec());
    let Value::Object(object) = object else { return object };
    object.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect()
}

/// Where a list lives and how much of it one page may hold.
pub(crate) struct Listing<'a> {
    /// `https://host/v1.0/path`, without the query.
    pub url: String,
    pub context: &'a str,
    pub query: &'a Query,
    pub default_page: usize,
    pub max_page: usize,
    /// The scenario's cap.
    pub cap: usize,
}

/// One page. The items come in the order of the list, each with a key that stays; only those on the page are shown.
pub(crate) fn page<T>(
    listing: &Listing,
    items: &[T],
    key: impl Fn(&T) -> String,
    show: impl Fn(&T) -> Result<Value, Reply>,
) -> Reply {
    let top = match listing.query.get("$top").map(str::parse::<usize>) {
        None => listing.default_page,
        Some(Ok(top)) if (1..=listing.max_page).contains(&top) => top,
        Some(_) => {
            let text = format!("Invalid page size specified: it must be between 1 and {} inclusive.", listing.max_page);
            return Reply::bad_request(text);
        }
    };
    let fingerprint = listing.query.fingerprint();
    let total = items.len();
    let first = match listing.query.get("$skiptoken") {
        None => 0,
        Some(token) => match resume(token, &fingerprint, items, &key) {
            Some(first) => first,
            None => return Reply::error(400, "Directory_ExpiredPageToken", "The specified page token value has expired."),
        },
    };
    let size = top.min(listing.cap);
    let mut body = json!({"@odata.context": format!("{CONTEXT}{}", listing.context)});
    if listing.query.get("$count") == Some("true") {
        body["@odata.count"] = json!(total);
    }
    if first + size < total {
        let token = URL_SAFE_NO_PAD.encode(format!("{fingerprint}{}", key(&items[first + size - 1])));
        body["@odata.nextLink"] = json!(format!("{}?{}", listing.url, listing.query.with_token(&token)));
    }
    match items.iter().skip(first).take(size).map(show).collect::<Result<Vec<_>, _>>() {
        Ok(shown) => body["value"] = shown.into(),
        Err(reply) => return reply,
    }
    Reply::json(200, body)
}

/// Index behind the last item that was given out; one that has gone since is found by where it stood.
fn resume<T>(token: &str, fingerprint: &str, items: &[T], key: &impl Fn(&T) -> String) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let last = text.strip_prefix(fingerprint)?;
    match items.iter().position(|item| key(item) == last) {
        Some(at) => Some(at + 1),
        None => Some(items.iter().position(|item| key(item).as_str() > last).unwrap_or(items.len())),
    }
}

/// ISO 8601, as Graph writes an interval.
pub(crate) fn iso_duration(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M'), (seconds % 60, 'S')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "PT0S".into() } else { format!("PT{text}") }
}

/// `field eq 'value'`, where a quote inside is doubled.
pub(crate) fn parse_equality(filter: &str) -> Option<(&str, String)> {
    let (field, value) = filter.trim().split_once(" eq ")?;
    let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = value.replace("''", "");
    (!plain.contains('\'')).then(|| (field.trim(), value.replace("''", "'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &Query) -> Listing<'_> {
        Listing { url: "https://h/v1.0/x".into(), context: "x", query, default_page: 2, max_page: 3, cap: 99 }
    }

    fn paged(query: &Query, items: &[char]) -> Reply {
        page(&listing(query), items, char::to_string, |item| Ok(json!(item.to_string())))
    }

    fn value(reply: &Reply) -> &Value {
        let Body::Json(body) = &reply.body else { panic!("{reply:?}") };
        body
    }

    #[test]
    fn pages_follow_each_other_until_there_is_no_link() {
        let (mut query, mut all) = (Query::default(), Vec::new());
        for pages in 1.. {
            let reply = paged(&query, &['a', 'b', 'c', 'd', 'e']);
            all.extend(value(&reply)["value"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()));
            let Some(next) = value(&reply)["@odata.nextLink"].as_str() else {
                assert_eq!(pages, 3);
                break;
            };
            query = Query::parse(next.split_once('?').unwrap().1);
        }
        assert_eq!(all.concat(), "abcde");
    }

    #[test]
    fn a_token_of_another_query_and_a_huge_page_are_refused() {
        let items = ['a', 'b', 'c', 'd', 'e'];
        let first = paged(&Query::default(), &items);
        let link = value(&first)["@odata.nextLink"].as_str().unwrap().to_owned();
        let other = Query::parse(&format!("{}&$select=id", link.split_once('?').unwrap().1));
        assert_eq!(paged(&other, &items).status, 400);
        assert_eq!(paged(&Query::parse("$top=1000"), &items).status, 400);
    }

    #[test]
    fn durations_read_as_graph_writes_them() {
        use std::time::Duration;
        assert_eq!(iso_duration(Duration::from_secs(2400)), "PT40M");
        assert_eq!(iso_duration(Duration::from_secs(3661)), "PT1H1M1S");
    }

    #[test]
    fn a_filter_is_one_equality() {
        assert_eq!(parse_equality("displayName eq 'O''Neil'"), Some(("displayName", "O'Neil".into())));
        assert_eq!(parse_equality("displayName eq 'a' or displayName eq 'b'"), None);
    }
}
