//! Reading a list to its end: it is complete, or it is an error; never a short list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::{Client, Kind};
use super::wire;
use crate::model::compact::packed;
use crate::model::id::ScimId;
use crate::world::error::{Error, Result};

/// Times a list is begun anew because it moved.
const PASSES: usize = 3;
const PAGES: usize = 2_000;
const ITEMS: usize = 200_000;

/// Reads all pages of a list, keyed by id.
pub async fn read_all<T>(
    client: &Client,
    kind: Kind,
    page_size: u32,
    read: impl Fn(&Value) -> Result<(ScimId, T), String>,
) -> Result<BTreeMap<ScimId, T>> {
    let doing = format!("listing {}/{}", client.shown(), kind.segment());
    let mut why = String::new();
    for _ in 0..PASSES {
        match pass(client, kind, page_size, &doing, &read).await? {
            Ended::Complete(found) => return Ok(found),
            Ended::Short(reason) => why = reason,
        }
    }
    Err(Error::Incomplete { doing, why: format!("{why} (tried {PASSES} times)") })
}

enum Ended<T> {
    Complete(BTreeMap<ScimId, T>),
    Short(String),
}

async fn pass<T>(
    client: &Client,
    kind: Kind,
    page_size: u32,
    doing: &str,
    read: impl Fn(&Value) -> Result<(ScimId, T), String>,
) -> Result<Ended<T>> {
    let token = client.token()?;
    let mut walk = Walk::new();
    let count = page_size.to_string();
    loop {
        let (name, value) = match &walk.next {
            Ask::From(index) => ("startIndex", index.to_string()),
            Ask::Cursor(cursor) => ("cursor", cursor.clone()),
        };
        let mut parameters = vec![(name, value.as_str()), ("count", count.as_str())];
        parameters.extend(kind.trimming());
        let url = client.address(doing, &[kind.segment()], &parameters)?;
        let answer = client.get_patiently(kind.listing(), doing, &url, &token).await?;
        if answer.status != http::StatusCode::OK {
            return Err(client.refusal(doing, &answer, &token));
        }
        let malformed = |why| Error::Malformed { doing: doing.to_owned(), why };
        let page = wire::part(&answer.body).map_err(malformed)?;
        // Behind a full list nothing is left to prove.
        if page.resources.is_empty() && !page.named && !walk.is_full() {
            return Err(malformed(wire::UNNAMED.into()));
        }
        let mut resources = Vec::with_capacity(page.resources.len());
        for (n, resource) in page.resources.iter().enumerate() {
            resources.push(read(resource).map_err(|why| malformed(format!("entry {} of the page {why}", n + 1)))?);
        }
        match walk.take(resources, page.total, page.next) {
            Step::Ask => {}
            Step::Done => return Ok(Ended::Complete(packed(walk.found))),
            Step::Short(why) => return Ok(Ended::Short(why)),
            Step::TooLong(why) => return Err(Error::Malformed { doing: doing.to_owned(), why }),
        }
    }
}

/// Where one pass through a list stands.
struct Walk<T> {
    found: BTreeMap<ScimId, T>,
    total: Option<usize>,
    next: Ask,
    pages: usize,
    items: usize,
    cursors: BTreeSet<String>,
}

enum Ask {
    /// 1-based.
    From(usize),
    Cursor(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Done,
    Short(String),
    TooLong(String),
}

impl<T> Walk<T> {
    fn new() -> Self {
        Walk { found: BTreeMap::new(), total: None, next: Ask::From(1), pages: 0, items: 0, cursors: BTreeSet::new() }
    }

    fn take(&mut self, page: Vec<(ScimId, T)>, total: Option<u64>, cursor: Option<String>) -> Step {
        let past_end = matches!(self.next, Ask::From(_)) && self.is_full();
        let (empty, before) = (page.is_empty(), self.found.len());
        self.pages += 1;
        self.items += page.len();
        self.found.extend(page);
        let new = self.found.len() - before;
        if self.pages > PAGES || self.items > ITEMS {
            return Step::TooLong(format!("the list does not end within {PAGES} pages and {ITEMS} entries"));
        }
        #[expect(clippy::disallowed_methods, reason = "no list is as long as that")]
        let total = total.map(|total| usize::try_from(total).unwrap_or(usize::MAX));
        match (self.total, total) {
            // Some count the page only; behind the end there is nothing left to miss.
            (Some(old), Some(new)) if past_end && empty && new < old => {}
            (Some(old), Some(new)) if old != new => {
                return Step::Short(format!("totalResults went from {old} to {new} while it was read"));
            }
            (_, Some(total)) => self.total = Some(total),
            (_, None) => {}
        }
        if let Some(total) = self.total.filter(|total| self.found.len() > *total) {
            return Step::Short(format!("it holds more than the {total} of its totalResults"));
        }
        match (cursor, &self.next) {
            (Some(cursor), _) => {
                if !self.cursors.insert(cursor.clone()) {
                    return Step::Short("the service gave the same cursor twice".into());
                }
                self.next = Ask::Cursor(cursor);
                Step::Ask
            }
            (None, Ask::Cursor(_)) => self.end(),
            (None, Ask::From(_)) if empty => self.end(),
            (None, Ask::From(_)) if new == 0 && self.total.is_none() => {
                Step::Short("the service gives no totalResults and repeats itself".into())
            }
            (None, Ask::From(_)) if new == 0 => self.end(),
            (None, Ask::From(_)) => {
                self.next = Ask::From(1 + self.items);
                Step::Ask
            }
        }
    }

    /// As many as the service says there are.
    fn is_full(&self) -> bool {
        self.total.is_some_and(|total| self.found.len() >= total)
    }

    fn end(&self) -> Step {
        match self.total {
            Some(total) if self.found.len() < total => {
                Step::Short(format!("it ended after {} of {total} entries", self.found.len()))
            }
            Some(_) | None => Step::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pages of (ids, totalResults, cursor) and says how the last one was taken, and where a next one would begin.
    fn walk(pages: &[(&[u32], Option<u64>, Option<&str>)]) -> (Step, usize) {
        let mut walk = Walk::new();
        let mut step = Step::Ask;
        for (n, (ids, total, cursor)) in pages.iter().enumerate() {
            assert_eq!(step, Step::Ask, "page {n} was not asked for");
            let page = ids.iter().map(|id| (ScimId::from(id.to_string()), ())).collect();
            step = walk.take(page, *total, cursor.map(str::to_owned));
        }
        (step, walk.found.len())
    }

    fn is_short(pages: &[(&[u32], Option<u64>, Option<&str>)]) -> bool {
        matches!(walk(pages).0, Step::Short(_))
    }

    #[test]
    fn the_end_is_looked_behind_before_it_is_believed() {
        assert_eq!(walk(&[(&[1, 2], Some(3), None), (&[3], Some(3), None)]).0, Step::Ask);
        assert_eq!(walk(&[(&[1, 2], Some(3), None), (&[3], Some(3), None), (&[], Some(3), None)]), (Step::Done, 3));
        assert_eq!(walk(&[(&[1, 2], Some(2), None), (&[1, 2], Some(2), None)]), (Step::Done, 2));
        assert_eq!(walk(&[(&[], Some(0), None)]), (Step::Done, 0));
    }

    #[test]
    fn a_short_list_is_never_taken_for_the_whole() {
        assert!(is_short(&[(&[1], Some(2), None), (&[], Some(2), None)]));
        assert!(is_short(&[(&[1], Some(2), None), (&[1], Some(2), None)]));
        assert!(is_short(&[(&[], Some(2), None)]));
        assert!(is_short(&[(&[1], Some(2), Some("a")), (&[], Some(2), None)]));
        assert!(is_short(&[(&[1], None, Some("a")), (&[2], None, Some("a"))]));
    }

    #[test]
    fn a_list_that_moves_is_read_anew() {
        assert!(is_short(&[(&[1], Some(2), None), (&[2], Some(3), None)]));
        assert!(is_short(&[(&[1, 2], Some(2), None), (&[3], Some(2), None)]));
        assert!(is_short(&[(&[1, 2], Some(2), None), (&[], Some(3), None)]));
    }

    #[test]
    fn a_total_of_the_empty_page_alone_is_no_movement() {
        assert_eq!(walk(&[(&[1, 2], Some(2), None), (&[], Some(0), None)]), (Step::Done, 2));
    }

    #[test]
    fn without_a_total_only_an_empty_page_ends_a_list() {
        assert_eq!(walk(&[(&[1, 2], None, None), (&[], None, None)]), (Step::Done, 2));
        assert!(is_short(&[(&[1, 2], None, None), (&[1, 2], None, None)]));
    }

    #[test]
    fn cursors_are_followed_over_empty_pages() {
        let pages: [(&[u32], _, _); 3] = [(&[1], Some(2), Some("a")), (&[], Some(2), Some("b")), (&[2], Some(2), None)];
        assert_eq!(walk(&pages), (Step::Done, 2));
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        let mut walk = Walk::new();
        let last =
            (0..).map(|n: usize| walk.take(vec![(ScimId::from(n.to_string()), ())], None, None)).find(|step| *step != Step::Ask);
        assert!(matches!(last, Some(Step::TooLong(_))));
    }
}
