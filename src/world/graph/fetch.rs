//! Reads: one object, or a collection to its end or not at all; many of them share a request where that saves some.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;

use super::batch::{self, Item, Order};
use super::client::{Ask, GraphClient, Patience, refused};
use super::pace::Kind;
use super::token::TokenSource;
use super::wire::{Page, Row, shape};
use crate::world::error::{Error, Result};
use crate::world::http::{Answer, request};

/// A collection with more pages than this is taken for endless.
const MOST_PAGES: usize = 20_000;
/// Our scans give way to everybody else's requests.
const LOW: (&str, &str) = ("x-ms-throttle-priority", "Low");

/// A whole collection, ordered by key.
pub struct Listed<R> {
    /// The service's time of the first page.
    pub at: Option<Timestamp>,
    pub rows: Vec<R>,
}

/// What becomes of an item.
pub type Kept<R> = std::result::Result<Option<R>, String>;

/// How fresh a list must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    Usual,
    /// Graph's index, which the advanced queries need.
    Eventual,
}

/// One read of several that go out together.
pub struct Wanted {
    pub ask: Ask,
    /// Below the version.
    pub path: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub consistency: Consistency,
}

/// One request.
struct Get<'a> {
    ask: &'a Ask,
    url: Url,
    headers: Vec<(&'static str, &'static str)>,
}

impl Get<'_> {
    fn request(&self) -> Result<Request<Bytes>> {
        let mut request = request(Method::GET, &self.url)?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(request)
    }
}

impl<T: TokenSource> GraphClient<T> {
    /// Reads one object.
    pub async fn get<W: DeserializeOwned>(&self, ask: &Ask, path: &[&str], query: &[(&str, &str)]) -> Result<W> {
        let get = Get { ask, url: self.url(ask, path, query)?, headers: Vec::new() };
        let answer = self.fetch(&[get], &mut Patience::of_a_read()).await.remove(0)?;
        self.read(ask, &answer)
    }

    /// Reads objects; one result for each, in their order.
    pub async fn get_all<W: DeserializeOwned>(&self, wanted: &[Wanted]) -> Vec<Result<W>> {
        let (mut results, mut gets) = (Vec::new(), Vec::new());
        for wanted in wanted {
            match self.wanted(wanted) {
                Ok(url) => {
                    gets.push(Get { ask: &wanted.ask, url, headers: Vec::new() });
                    results.push(None);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let mut answers = self.fetch(&gets, &mut Patience::of_a_read()).await.into_iter();
        let read = |(known, wanted): (Option<Result<W>>, &Wanted)| {
            known
                .unwrap_or_else(|| answers.next().expect("an answer for each").and_then(|answer| self.read(&wanted.ask, &answer)))
        };
        results.into_iter().zip(wanted).map(read).collect()
    }

    /// Reads a collection to its end, or not at all. Of each item, which may be many times as large, that is held which
    /// `keep` makes of it: nothing, or a row, or a reason why the list can't be right.
    pub async fn list<W: DeserializeOwned, R: Row>(
        &self,
        ask: &Ask,
        path: &[&str],
        query: &[(&str, &str)],
        consistency: Consistency,
        keep: impl Fn(W) -> Kept<R>,
    ) -> Result<Listed<R>> {
        let mut listing = Listing::begin(ask, self.url(ask, path, query), consistency);
        self.to_the_end(std::slice::from_mut(&mut listing), &keep).await;
        listing.end()
    }

    /// Reads collections, a page of each at a time; one result for each, in their order.
    pub async fn list_all<W: DeserializeOwned, R: Row>(
        &self,
        wanted: &[Wanted],
        keep: impl Fn(W) -> Kept<R>,
    ) -> Vec<Result<Listed<R>>> {
        let begin = wanted.iter().map(|wanted| Listing::begin(&wanted.ask, self.wanted(wanted), wanted.consistency));
        let mut listings: Vec<Listing<'_, R>> = begin.collect();
        self.to_the_end(&mut listings, &keep).await;
        listings.into_iter().map(Listing::end).collect()
    }

    async fn to_the_end<W: DeserializeOwned, R: Row>(&self, listings: &mut [Listing<'_, R>], keep: &impl Fn(W) -> Kept<R>) {
        let mut patience = Patience::of_a_read();
        loop {
            let pages = listings.iter_mut().filter_map(|listing| listing.page().map(|get| (listing, get)));
            let (due, gets): (Vec<_>, Vec<_>) = pages.take(batch::MOST).unzip();
            if gets.is_empty() {
                return;
            }
            let answers = self.fetch(&gets, &mut patience).await;
            for (listing, answer) in due.into_iter().zip(answers) {
                listing.take(self, answer, keep);
            }
        }
    }

    fn wanted(&self, wanted: &Wanted) -> Result<Url> {
        let path: Vec<&str> = wanted.path.iter().map(String::as_str).collect();
        let query: Vec<(&str, &str)> = wanted.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.url(&wanted.ask, &path, &query)
    }

    /// An answer for each, in their order. Who is throttled is asked for again, and nobody else.
    async fn fetch(&self, gets: &[Get<'_>], patience: &mut Patience<'_>) -> Vec<Result<Answer>> {
        let mut answers: Vec<Option<Result<Answer>>> = gets.iter().map(|_| None).collect();
        loop {
            let due: Vec<usize> = (0..gets.len()).filter(|index| answers[*index].is_none()).take(batch::MOST).collect();
            let Some(first) = due.first() else { break };
            self.pace.units(due.iter().map(|index| gets[*index].ask.units()).sum()).await;
            if due.len() == 1 {
                answers[*first] = Some(match gets[*first].request() {
                    Ok(request) => self.exchange(gets[*first].ask, request, patience).await,
                    Err(error) => Err(error),
                });
                continue;
            }
            let mut wait = None;
            for (index, answer) in due.iter().zip(self.fetch_together(gets, &due, patience).await) {
                match answer {
                    Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                        wait = wait.max(Some(self.throttled(Kind::Read, &answer, patience.used)));
                    }
                    answer => answers[*index] = Some(answer),
                }
            }
            if let Some(wait) = wait
                && !patience.once_more(wait)
            {
                for index in due {
                    answers[index].get_or_insert_with(|| {
                        Err(Error::Throttled { doing: gets[index].ask.doing.clone(), retry_after: Some(wait) })
                    });
                }
            }
        }
        answers.into_iter().map(|answer| answer.expect("none is left")).collect()
    }

    async fn fetch_together(&self, gets: &[Get<'_>], due: &[usize], patience: &mut Patience<'_>) -> Vec<Result<Answer>> {
        let item = |index: &usize| {
            let get = &gets[*index];
            let url = get.url.as_str().strip_prefix(self.root.as_str().trim_end_matches('/')).unwrap_or_default().to_owned();
            Item { method: Method::GET, url, headers: get.headers.clone(), body: None }
        };
        let items: Vec<Item> = due.iter().map(item).collect();
        let asks: Vec<&Ask> = due.iter().map(|index| gets[*index].ask).collect();
        self.envelope(&asks, &items, Order::Any, patience).await
    }

    fn read<W: DeserializeOwned>(&self, ask: &Ask, answer: &Answer) -> Result<W> {
        if answer.status != StatusCode::OK {
            return Err(refused(ask, answer));
        }
        if answer.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ask.malformed(format!("{} in place of a JSON object", shape(&answer.body))));
        }
        let mut json = serde_json::Deserializer::from_slice(&answer.body);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.into_inner());
            let text = inner.to_string();
            ask.malformed(match shape(&answer.body) {
                _ if inner.is_eof() => "the JSON ends too early".to_owned(),
                // Other texts than this one could repeat a value.
                _ if text.starts_with("missing field") => format!("at {path}: {text}"),
                shape => format!("{shape}, at {path} (line {}, column {})", inner.line(), inner.column()),
            })
        })?;
        json.end().map_err(|_| ask.malformed("there is more behind the JSON"))?;
        Ok(read)
    }
}

/// A collection on its way.
struct Listing<'a, R: Row> {
    ask: &'a Ask,
    headers: Vec<(&'static str, &'static str)>,
    /// `None` at its end.
    next: Option<Url>,
    visited: BTreeSet<Url>,
    rows: Vec<R>,
    at: Option<Timestamp>,
    failed: Option<Error>,
}

impl<'a, R: Row> Listing<'a, R> {
    fn begin(ask: &'a Ask, first: Result<Url>, consistency: Consistency) -> Self {
        let mut headers = vec![LOW];
        if consistency == Consistency::Eventual {
            headers.push(("consistencylevel", "eventual"));
        }
        let (next, failed) = match first {
            Ok(url) => (Some(url), None),
            Err(error) => (None, Some(error)),
        };
        Listing { ask, headers, next, visited: BTreeSet::new(), rows: Vec::new(), at: None, failed }
    }

    /// The next page to ask for; none where that leads nowhere.
    fn page(&mut self) -> Option<Get<'a>> {
        let url = self.next.clone()?;
        if !self.visited.insert(url.clone()) {
            return self.fail(self.ask.incomplete("its pages lead back to one that was already read"));
        }
        if self.visited.len() > MOST_PAGES {
            return self.fail(self.ask.incomplete(format!("it has more than {MOST_PAGES} pages")));
        }
        Some(Get { ask: self.ask, url, headers: self.headers.clone() })
    }

    fn fail<G>(&mut self, error: Error) -> Option<G> {
        (self.next, self.failed) = (None, Some(error));
        None
    }

    fn take<T: TokenSource, W: DeserializeOwned>(
        &mut self,
        client: &GraphClient<T>,
        answer: Result<Answer>,
        keep: &impl Fn(W) -> Kept<R>,
    ) {
        let number = self.visited.len();
        let read = answer.and_then(|answer| Ok((client.read::<Page<W>>(self.ask, &answer)?, answer.at)));
        let taken = read.and_then(|(page, date)| {
            if number == 1 {
                self.at = date;
            }
            for item in page.value {
                self.rows.extend(keep(item).map_err(|why| self.ask.malformed(why))?);
            }
            page.next.map(|next| client.follow(&next).map_err(|why| self.ask.malformed(why))).transpose()
        });
        match taken {
            Ok(next) => self.next = next,
            Err(error) => _ = self.fail::<()>(on_page(self.ask, number, error)),
        }
    }

    fn end(mut self) -> Result<Listed<R>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.rows.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        let twice = |rows: &&[R]| rows[0].key() == rows[1].key() && rows[0] != rows[1];
        if let Some(rows) = self.rows.windows(2).find(twice) {
            let key = rows[0].key();
            return Err(self.ask.incomplete(format!("{key} came twice and differs; it changed while it was read")));
        }
        self.rows.dedup_by(|a, b| a.key() == b.key());
        self.rows.shrink_to_fit();
        Ok(Listed { at: self.at, rows: self.rows })
    }
}

/// A refusal on a later page says nothing about the collection itself, only that it could not be read to its end.
fn on_page(ask: &Ask, number: usize, error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Refused { .. } if number > 1 => ask.incomplete(format!("page {number}: {error}")),
        Error::Malformed { doing, why } if number > 1 => Error::Malformed { doing, why: format!("page {number}: {why}") },
        other => other,
    }
}
