//! What the workers say of themselves: a connection to each, which brings its status whenever there is a newer one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use memchr::memmem;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::endless::Endless;
use super::metrics::Metrics;
use super::resource::Id;
use super::told::{Told, Word, word};
use super::worker::objects::PORT;

/// A worker says at least that it is alive every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(35);
const CONNECT: Duration = Duration::from_secs(5);
const AGAIN: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];
/// No status is larger (bytes).
const STATUS_CAP: usize = 4 << 20;

#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The last status that was one, and when it came.
    pub told: Option<(Arc<Told>, Timestamp)>,
    /// Why there is no connection now.
    pub trouble: Option<String>,
}

struct Worker {
    address: IpAddr,
    heard: Arc<Mutex<Heard>>,
    listening: JoinHandle<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// One listener for each worker; a worker that says something new is named in the channel.
pub struct Workers {
    news: News,
    all: Mutex<HashMap<Id, Worker>>,
}

/// Names a worker that has something new.
#[derive(Clone)]
struct News {
    channel: mpsc::UnboundedSender<Id>,
    metrics: Metrics,
}

impl News {
    fn tell(&self, id: &Id) {
        // Nobody listens any more only when the process ends.
        if self.channel.send(id.clone()).is_ok() {
            self.metrics.queued(1);
        }
    }
}

impl Workers {
    pub fn new(channel: mpsc::UnboundedSender<Id>, metrics: Metrics) -> Workers {
        Workers { news: News { channel, metrics }, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Id, Worker>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the worker at this address from now on; to none where there is no address.
    pub fn listen(&self, id: &Id, address: Option<IpAddr>) -> Heard {
        let mut all = self.all();
        let Some(address) = address else {
            return all.remove(id).map(|worker| heard(&worker.heard).clone()).unwrap_or_default();
        };
        if let Some(worker) = all.get(id).filter(|worker| worker.address == address) {
            return heard(&worker.heard).clone();
        }
        let kept = Arc::new(Mutex::new(Heard::default()));
        let listening = tokio::spawn(listen(id.clone(), address, kept.clone(), self.news.clone()));
        all.insert(id.clone(), Worker { address, heard: kept, listening });
        Heard::default()
    }

    /// Asks for another look at a resource, as if its worker had said something new.
    pub fn again(&self, id: &Id) {
        self.news.tell(id);
    }

    pub fn forget(&self, id: &Id) {
        self.all().remove(id);
    }
}

fn heard(kept: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(id: Id, address: IpAddr, kept: Arc<Mutex<Heard>>, news: News) {
    let at = SocketAddr::new(address, PORT);
    let mut failures = 0;
    loop {
        let why = match stream(at, |said| {
            failures = 0;
            if said.is_ok() {
                news.metrics.heard(&id, Timestamp::now());
            }
            if note(&kept, said) {
                news.tell(&id);
            }
        })
        .await
        {
            Ok(()) => "the worker has ended the connection".to_owned(),
            Err(why) => format!("{why:#}"),
        };
        let wait = AGAIN[failures.min(AGAIN.len() - 1)];
        failures += 1;
        // A restart is no trouble yet.
        if failures > 1 {
            let is_news = heard(&kept).trouble.replace(why).is_none();
            if is_news {
                news.tell(&id);
            }
        }
        tokio::time::sleep(wait).await;
    }
}

/// Whether it says anything that was not known.
fn note(kept: &Mutex<Heard>, said: Result<Word, String>) -> bool {
    let mut heard = heard(kept);
    let known = heard.told.as_ref().filter(|_| heard.trouble.is_none()).map(|(told, _)| told.mark);
    let now = Timestamp::now();
    match said {
        Ok(word) if known == Some(word.mark()) => {
            if let Some((_, at)) = &mut heard.told {
                *at = now;
            }
            false
        }
        said => match said.and_then(Word::told) {
            Ok(told) => {
                *heard = Heard { told: Some((Arc::new(told), now)), trouble: None };
                true
            }
            Err(why) => heard.trouble.replace(why.clone()) != Some(why),
        },
    }
}

/// Reads server-sent events to their end.
async fn stream(at: SocketAddr, mut each: impl FnMut(Result<Word, String>)) -> anyhow::Result<()> {
    let asking = tokio::time::timeout(CONNECT, Endless::get(at, "/events", "text/event-stream")).await;
    let mut answer = asking.context("no answer")??;
    let mut buffer: Vec<u8> = Vec::new();
    loop {
        // What was looked through before is not looked through again, but for its last byte.
        let mut from = buffer.len().saturating_sub(1);
        let more = tokio::time::timeout(SILENCE, answer.read(&mut buffer)).await;
        let more = more.with_context(|| format!("{at} has said nothing for {SILENCE:?}"))?;
        if !more.with_context(|| at.to_string())? {
            return Ok(());
        }
        while let Some(end) = memmem::find(&buffer[from..], b"\n\n") {
            let event = from + end + 2;
            from = 0;
            if let Some(data) = data(&buffer[..event]) {
                each(word(data).map_err(|why| format!("{at}: {why}")));
            }
            buffer.drain(..event);
        }
        anyhow::ensure!(buffer.len() <= STATUS_CAP, "{at} sends more than any status has");
        if buffer.is_empty() {
            buffer = Vec::new();
        }
    }
}

/// The one line of data that an event of ours has.
fn data(event: &[u8]) -> Option<&[u8]> {
    let mut lines = event.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"data:")).map(<[u8]>::trim_ascii)
}
