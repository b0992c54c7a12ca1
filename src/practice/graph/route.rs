//! One line of the table of routes, and what its handler has in hand.

use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::practice::odata::{Listing, Query, Reply, page};
use crate::practice::tenant::{Inner, State};
use crate::practice::throttle::Cost;
use crate::practice::token::Claims;

/// One request as it came in, or as a batch holds it.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub method: Method,
    /// Behind `/v1.0`.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Option<Value>,
    /// `https://host/v1.0`, as the caller named it.
    pub root: String,
}

pub(crate) struct Call<'a> {
    pub inner: &'a Inner,
    pub state: &'a mut State,
    pub claims: &'a Claims,
    pub request: &'a Incoming,
    pub query: Query,
    /// The time whose state a read shows.
    pub as_of: Timestamp,
    pub(super) params: Vec<&'a str>,
}

pub(crate) struct Route {
    pub method: Method,
    pub template: &'static str,
    pub kind: Kind,
    /// Resource units.
    pub cost: u32,
    /// One permission of each set is needed.
    pub needs: &'static [&'static [&'static str]],
    pub handle: fn(&mut Call) -> Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// A read of the identity reports, with a quota of its own.
    Report,
    Write,
    /// What nobody who retires a provisioning may ever call.
    Forbidden,
}

impl Route {
    pub(super) fn cost(&self) -> Cost {
        let writes = u32::from(matches!(self.kind, Kind::Write | Kind::Forbidden));
        Cost { resource_units: self.cost, writes, reports: u32::from(self.kind == Kind::Report) }
    }

    /// The parameters, if the path is of this form. `{x}` stands for one segment or for a part of one.
    pub(super) fn params<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let mut params = Vec::new();
        let (mut wanted, mut given) = (self.template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(params),
                (Some(wanted), Some(given)) => match wanted.split_once('{') {
                    None if wanted == given => {}
                    None => return None,
                    Some((before, rest)) => {
                        let after = rest.split_once('}').map_or("", |(_, after)| after);
                        let param = given.strip_prefix(before)?.strip_suffix(after)?;
                        // `$ref`, `$count` and casts are never ids.
                        if param.is_empty() || param.starts_with('$') || param.starts_with("microsoft.graph.") {
                            return None;
                        }
                        params.push(param);
                    }
                },
                (None, Some(_)) | (Some(_), None) => return None,
            }
        }
    }
}

impl<'a> Call<'a> {
    pub fn param(&self, n: usize) -> &'a str {
        self.params.get(n).copied().unwrap_or_default()
    }

    /// A parameter that must be the id of an object; anything else is not found.
    pub fn uuid(&self, n: usize) -> Result<Uuid, Reply> {
        self.param(n).parse().map_err(|_| Reply::bad_request(format!("Invalid object identifier '{}'.", self.param(n))))
    }

    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub fn body(&self) -> &Value {
        self.request.body.as_ref().unwrap_or(&Value::Null)
    }

    /// As moments and records name it.
    pub fn name(&self) -> String {
        format!("{} {}", self.request.method, self.request.path)
    }

    /// Casts, counts and the like are served from an index, and only to those who accept its delay.
    pub fn advanced(&self, counted: Counted) -> Result<(), Reply> {
        let eventual =
            self.request.headers.get("consistencylevel").is_some_and(|level| level.as_bytes().eq_ignore_ascii_case(b"eventual"));
        let counts = match counted {
            Counted::ByQuery => self.query.get("$count") == Some("true"),
            Counted::ByPath => true,
        };
        if eventual && counts {
            Ok(())
        } else {
            Err(Reply::error(
                400,
                "Request_UnsupportedQuery",
                "Request is not supported without the header ConsistencyLevel: eventual and $count=true.",
            ))
        }
    }

    /// The list under the path of this request.
    pub fn page(&self, context: &str, items: Vec<(String, Value)>) -> Reply {
        self.page_of(context, &items, |(key, _)| key.clone(), |(_, item)| Ok(item.clone()))
    }

    /// The same for a list that may be long: only what is on the page takes its shape.
    pub fn page_of<T>(
        &self,
        context: &str,
        items: &[T],
        key: impl Fn(&T) -> String,
        show: impl Fn(&T) -> Result<Value, Reply>,
    ) -> Reply {
        let listing = Listing {
            url: format!("{}{}", self.request.root, self.request.path),
            context,
            query: &self.query,
            default_page: 100,
            max_page: 999,
            cap: self.inner.scenario.page_size,
        };
        page(&listing, items, key, show)
    }
}

/// Where a count is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    ByQuery,
    ByPath,
}
