//! Writes: each goes out once, by itself or with others, and what came of it is never guessed.

use bytes::Bytes;
use http::{HeaderValue, header};

use super::batch::{Item, Order};
use super::client::{Ask, GraphClient, Patience, refused};
use super::pace::Kind;
use super::token::TokenSource;
use super::wire::Refusal;
use super::writes::Write;
use crate::world::error::{Error, Result};
use crate::world::http::{Answer, request};
use crate::world::{LastWord, Written};

impl<T: TokenSource> GraphClient<T> {
    /// Sends one write, once.
    pub async fn write(&self, ask: &Ask, write: &Write<'_>, last_word: LastWord<'_>) -> Result<Written> {
        let item = self.item(ask, write)?;
        let mut request = request(item.method, &self.below(ask, &item.url)?)?;
        if let Some(body) = item.body {
            *request.body_mut() = Bytes::from(body.to_string());
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let answer = self.exchange(ask, request, &mut Patience::of_a_write(last_word)).await?;
        concluded(ask, write, &answer)
    }

    /// Sends writes in one request, once, and gives each its own outcome, in their order.
    pub async fn write_together(
        &self,
        writes: &[(Ask, Write<'_>)],
        order: Order,
        last_word: LastWord<'_>,
    ) -> Vec<Result<Written>> {
        let items: Vec<Result<Item>> = writes.iter().map(|(ask, write)| self.item(ask, write)).collect();
        let mut outcomes: Vec<Option<Result<Written>>> = Vec::new();
        let (mut sent, mut envelope) = (Vec::new(), Vec::new());
        for (write, item) in writes.iter().zip(items) {
            match item {
                Ok(item) => {
                    sent.push(write);
                    envelope.push(item);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        let asks: Vec<&Ask> = sent.iter().map(|(ask, _)| ask).collect();
        let answers = self.envelope(&asks, &envelope, order, &mut Patience::of_a_write(last_word)).await;
        let mut answers = sent.iter().zip(answers).map(|((ask, write), answer)| {
            let answer = answer?;
            self.item_concluded(ask, write, &answer)
        });
        let outcome =
            |known: Option<Result<Written>>| known.or_else(|| answers.next()).expect("an outcome for each that was sent");
        outcomes.into_iter().map(outcome).collect()
    }

    /// An item of a batch is throttled by itself, and its wait holds for everything of ours.
    fn item_concluded(&self, ask: &Ask, write: &Write<'_>, answer: &Answer) -> Result<Written> {
        match answer.status.as_u16() {
            429 => Err(Error::Throttled { doing: ask.doing.clone(), retry_after: Some(self.throttled(Kind::Write, answer, 0)) }),
            401 => {
                self.token.forget();
                concluded(ask, write, answer)
            }
            _ => concluded(ask, write, answer),
        }
    }

    fn item(&self, ask: &Ask, write: &Write<'_>) -> Result<Item> {
        let (method, path, body) = write.request();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let url = self.url(ask, &segments, &[])?;
        let url = url.path().strip_prefix(self.root.path()).unwrap_or_default().to_owned();
        Ok(Item { method, url, headers: Vec::new(), body })
    }
}

/// What the answer to a write says of it.
fn concluded(ask: &Ask, write: &Write<'_>, answer: &Answer) -> Result<Written> {
    let already = if answer.status.is_success() {
        write.check(&answer.body).map_err(|why| ask.malformed(format!("{}: {why}", answer.status.as_u16())))?;
        false
    } else if Refusal::parse(&answer.body).is_some_and(|refusal| write.was_so(answer.status.as_u16(), &refusal)) {
        true
    } else {
        return Err(refused(ask, answer));
    };
    Ok(Written {
        at: answer.at.ok_or_else(|| ask.malformed("the answer has no Date that can be believed"))?,
        already,
        request_id: answer.header("request-id").map(str::to_owned),
        client_request_id: answer.client_request_id.clone(),
    })
}
