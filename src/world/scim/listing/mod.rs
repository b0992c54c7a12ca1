//! Reading a list to its end: it is complete, or it is an error; never a short list.

mod walk;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;

use super::client::{Client, Kind, refuses_paging};
use super::wire;
use crate::model::compact::packed;
use crate::model::id::ScimId;
use crate::world::error::{Error, Result};
use crate::world::http::Answer;
use walk::{Ask, Step, Walk};

/// Times a list is begun anew because it moved.
const PASSES: usize = 3;

/// How a list is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paging {
    /// `startIndex` and `count`.
    Pages,
    /// Neither, as the service refused them with this status; what is behind its first answer by `startIndex` alone.
    Bare(u16),
    /// `cursor` and `count` (RFC 9865).
    Cursor,
}

/// Reads all pages of a list, keyed by id, and tells whether they show that they are all.
pub async fn read_all<T>(
    client: &Client,
    kind: Kind,
    page_size: u32,
    read: impl Fn(&Value) -> Result<(ScimId, T), String>,
) -> Result<(BTreeMap<ScimId, T>, bool)> {
    let doing = format!("listing {}/{}", client.shown(), kind.segment());
    let (mut paging, mut why, mut passes) = (Paging::Pages, String::new(), 0);
    while passes < PASSES {
        let token = client.token()?;
        let pass = Pass { client, kind, paging, page_size, doing: &doing, token: &token };
        match pass.run(&read).await? {
            Ended::Complete(found, whole) => return Ok((found, whole)),
            Ended::Short(reason) => {
                passes += 1;
                why = reason;
                if paging == Paging::Pages && passes == 1 && client.pages_by_cursor_only(&doing, &token).await? {
                    paging = Paging::Cursor;
                }
            }
            Ended::Refused(status) => {
                paging = if client.pages_by_cursor_only(&doing, &token).await? { Paging::Cursor } else { Paging::Bare(status) };
            }
        }
    }
    Err(Error::Incomplete { doing, why: format!("{why} (tried {PASSES} times)") })
}

enum Ended<T> {
    /// Whether it is shown to be so; else there is no reason to doubt it.
    Complete(BTreeMap<ScimId, T>, bool),
    Short(String),
    /// Paging itself, with this status.
    Refused(u16),
}

struct Pass<'a> {
    client: &'a Client,
    kind: Kind,
    paging: Paging,
    page_size: u32,
    doing: &'a str,
    token: &'a SecretString,
}

impl Pass<'_> {
    async fn run<T>(&self, read: impl Fn(&Value) -> Result<(ScimId, T), String>) -> Result<Ended<T>> {
        let malformed = |why| Error::Malformed { doing: self.doing.to_owned(), why };
        let mut walk = Walk::new(if self.paging == Paging::Cursor { Ask::Cursor(String::new()) } else { Ask::From(1) });
        let mut count = self.page_size;
        loop {
            let answer = match self.ask(&walk.next, count).await {
                // Fewer at once may fit.
                Err(Error::TooLarge { .. }) if count > 1 && !matches!(self.paging, Paging::Bare(_)) => {
                    count = (count / 4).max(1);
                    continue;
                }
                answer => answer?,
            };
            let step = if answer.status == http::StatusCode::OK {
                let page = wire::part(&answer.body).map_err(malformed)?;
                match (page.named, page.resources.is_empty()) {
                    (true, _) => {}
                    (false, false) => self.client.has_left_unnamed(),
                    // Behind a full list nothing is left to prove.
                    (false, true) if walk.is_full() => {}
                    (false, true) if self.is_empty(&walk, &page) => return Ok(Ended::Complete(BTreeMap::new(), false)),
                    (false, true) => return Err(malformed(wire::UNNAMED.into())),
                }
                walk.said = page.start;
                if walk.pages == 0 {
                    walk.per_page = page.per_page;
                }
                let mut resources = Vec::with_capacity(page.resources.len());
                for (n, resource) in page.resources.iter().enumerate() {
                    resources.push(read(resource).map_err(|why| malformed(format!("entry {} of the page {why}", n + 1)))?);
                }
                walk.take(resources, page.total, page.next)
            } else {
                match (self.paging, answer.status.as_u16()) {
                    (Paging::Pages, status) if walk.pages == 0 && refuses_paging(status) => return Ok(Ended::Refused(status)),
                    (Paging::Pages, 400 | 404 | 416 | 422 | 501) if walk.is_full() => walk.refused(),
                    (Paging::Bare(first), status) if walk.is_full() && status == first && first != 500 => Step::Taken,
                    (Paging::Bare(first), status) if walk.is_full() && status == first => walk.unasked(),
                    (Paging::Cursor, 400) if walk.pages > 0 => Step::Short("its cursor was refused half-way".into()),
                    _ => return Err(self.client.refusal(self.doing, &answer, self.token)),
                }
            };
            let step = match (step, self.paging) {
                (Step::Doubt, Paging::Pages) => self.settle(&walk).await?,
                (Step::Doubt, _) => walk.unasked(),
                // Some services answer nothing where nothing is asked for.
                (Step::Done | Step::Taken, Paging::Bare(500)) if walk.found.is_empty() => Step::Short(
                    "it answers 500 to startIndex and count, and an empty list without them, which proves nothing".into(),
                ),
                (step, _) => step,
            };
            match step {
                Step::Ask => {}
                Step::Done => return Ok(Ended::Complete(packed(walk.found), true)),
                Step::Taken => return Ok(Ended::Complete(packed(walk.found), false)),
                Step::Short(why) => return Ok(Ended::Short(why)),
                Step::TooLong(why) => return Err(malformed(why)),
                Step::Doubt => return Ok(Ended::Short("its pages can't be told apart".into())),
            }
        }
    }

    /// The service counts no group, and names none of its lists: the one of users, read before it in this look, has no name either.
    /// Nothing shows that it is whole, so each group is asked for by its id.
    fn is_empty<T>(&self, walk: &Walk<T>, page: &wire::Page) -> bool {
        self.kind == Kind::Groups && walk.pages == 0 && page.total == Some(0) && self.client.names_no_list()
    }

    async fn ask(&self, next: &Ask, count: u32) -> Result<Answer> {
        let count = count.to_string();
        let (name, value) = match next {
            Ask::From(index) => ("startIndex", index.to_string()),
            Ask::Cursor(cursor) => ("cursor", cursor.clone()),
        };
        let mut parameters = vec![(name, value.as_str()), ("count", count.as_str())];
        parameters.extend(self.kind.trimming());
        let parameters = match (self.paging, next) {
            (Paging::Bare(_), Ask::From(1)) => &[],
            (Paging::Bare(_), _) => &parameters[..1],
            (Paging::Pages | Paging::Cursor, _) => &parameters[..],
        };
        let url = self.client.address(self.doing, &[self.kind.segment()], parameters)?;
        self.client.get_patiently(self.kind.listing(), self.doing, &url, Some(self.token)).await
    }

    /// The only page came again: asks for the second entry alone.
    async fn settle<T>(&self, walk: &Walk<T>) -> Result<Step> {
        let answer = self.ask(&Ask::From(2), 1).await?;
        if answer.status != http::StatusCode::OK {
            return match answer.status.as_u16() {
                status if refuses_paging(status) || status == 404 => Ok(walk.unasked()),
                _ => Err(self.client.refusal(self.doing, &answer, self.token)),
            };
        }
        let malformed = |why| Error::Malformed { doing: self.doing.to_owned(), why };
        let page = wire::part(&answer.body).map_err(malformed)?;
        let ids: Vec<ScimId> = page.resources.iter().map(wire::id).collect::<Result<_, _>>().map_err(malformed)?;
        Ok(walk.settle(&ids, page.total))
    }
}
