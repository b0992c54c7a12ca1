//! Learns how a service says that it has no such record: many say it in other words than the standard's.

use secrecy::SecretString;
use uuid::Uuid;

use super::client::{Client, Kind, asks_to_wait};
use super::wire::{self, signature};
use crate::model::id::ScimId;
use crate::model::snapshot::{NoSuch, Signature};
use crate::world::error::Result;

/// Asks for records that nobody has, while the token opens the lists.
pub async fn learn(client: &Client, doing: &str, token: &SecretString) -> Result<NoSuch> {
    Ok(NoSuch {
        users: shapes(client, Kind::Users, doing, token).await?,
        groups: shapes(client, Kind::Groups, doing, token).await?,
    })
}

async fn shapes(client: &Client, kind: Kind, doing: &str, token: &SecretString) -> Result<Vec<Signature>> {
    let first = client.opens(kind, token).await?.resources.first().map(wire::id);
    let there = match first {
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Ok(Vec::new()),
        None => None,
    };
    if let Some(id) = &there {
        let answer = client.ask(kind, id, doing, token).await?;
        if asks_to_wait(&answer).is_some() {
            return Err(client.refusal(doing, &answer, token));
        }
        let found = answer.status == http::StatusCode::OK && wire::resource(&answer.body).is_ok();
        // Where not even a listed record can be read, a refusal tells nothing.
        if !found {
            return Ok(Vec::new());
        }
    }
    let mut heard: Vec<Signature> = Vec::new();
    for id in nobody(there.as_ref()) {
        let answer = client.ask(kind, &id, doing, token).await?;
        if asks_to_wait(&answer).is_some() {
            return Err(client.refusal(doing, &answer, token));
        }
        heard.push(signature(&answer));
    }
    // Heard more than once: an answer of the moment must not become what is believed for good.
    let stays = |one: &Signature| heard.iter().filter(|other| *other == one).count() > 1;
    let mut learned: Vec<Signature> = Vec::new();
    for one in heard.iter().filter(|one| can_say_no(one.status, there.is_some()) && stays(one)) {
        if !learned.contains(one) {
            learned.push(one.clone());
        }
    }
    Ok(learned)
}

/// What else than a "no" other statuses say is of the service, of time or of load, and never of a record.
fn can_say_no(status: u16, compared: bool) -> bool {
    match status {
        404 | 410 => true,
        405 | 407 | 408 | 421 | 425 | 426 | 429 | 431 => false,
        400..=499 => compared,
        _ => false,
    }
}

/// Ids of nobody: some formed like those that the service gives, and one formed like none.
fn nobody(there: Option<&ScimId>) -> [ScimId; 4] {
    let fresh = || Uuid::new_v4().to_string();
    let like = || match there {
        // Made longer, as a short one could be somebody's.
        Some(id) => alike(&id.to_string().repeat(12_usize.div_ceil(id.to_string().len().max(1)))),
        None => fresh(),
    };
    [like(), like(), fresh(), format!("no-such-record-{}", rand::random_range(0..1_000_000_u32))].map(ScimId::from)
}

/// Another text of the same length and kinds of characters.
pub fn alike(real: &str) -> String {
    let hex = real.chars().filter(char::is_ascii_alphanumeric).all(|c| c.is_ascii_hexdigit());
    let letters = if hex { 6 } else { 26 };
    let any = real.chars().any(|c| c.is_ascii_alphanumeric());
    let pick = |from: u8, of: u8| char::from(from + rand::random_range(0..of));
    loop {
        let fake: String = real
            .chars()
            .map(|c| match c {
                '0'..='9' => pick(b'0', 10),
                'a'..='z' => pick(b'a', letters),
                'A'..='Z' => pick(b'A', letters),
                _ if any => c,
                _ => pick(b'a', 26),
            })
            .collect();
        if fake != real {
            return fake;
        }
    }
}
