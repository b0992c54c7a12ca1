//! Who is connected. Nobody is turned away, as it could be a probe: where it is full, whoever has gone longest without a whole
//! request goes. A flood throws out itself, and a probe is answered long before its turn to go comes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ALL: usize = 256;
/// A peer's share: whoever floods from one address takes no seat of another.
const OF_A_PEER: usize = 64;
/// Whoever watches is never thrown out, so their kind has only half of a share; all together have half of the seats
/// (`events::SEATS`).
const WATCHING_OF_A_PEER: usize = 32;

/// A clone is the same seats.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Seated>,
}

struct Seated {
    peer: IpAddr,
    /// When they came, or last asked for something.
    asked: Instant,
    watches: bool,
    gone: CancellationToken,
}

impl Taken {
    fn of(&self, peer: IpAddr) -> impl Iterator<Item = &Seated> {
        self.seats.values().filter(move |seated| seated.peer == peer)
    }

    fn evict(&mut self, from: impl Fn(&Seated) -> bool) {
        let may_go = self.seats.iter().filter(|(_, seated)| !seated.watches && from(seated));
        let longest = may_go.min_by_key(|(id, seated)| (seated.asked, **id)).map(|(id, _)| *id);
        if let Some(seated) = longest.and_then(|id| self.seats.remove(&id)) {
            seated.gone.cancel();
        }
    }
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a connection from this peer; another one may have to go for it.
    pub(super) fn take(&self, peer: IpAddr) -> Seat {
        let mut taken = self.lock();
        if taken.of(peer).count() >= OF_A_PEER {
            taken.evict(|seated| seated.peer == peer);
        }
        if taken.seats.len() >= ALL {
            taken.evict(|_| true);
        }
        let (id, gone) = (taken.next, CancellationToken::new());
        taken.next += 1;
        taken.seats.insert(id, Seated { peer, asked: Instant::now(), watches: false, gone: gone.clone() });
        Seat { place: Place { seats: self.clone(), id }, gone }
    }
}

/// Taken for as long as it lives.
pub(super) struct Seat {
    pub(super) place: Place,
    gone: CancellationToken,
}

impl Seat {
    /// Somebody else needs it.
    pub(super) async fn is_gone(&self) {
        self.gone.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.place.seats.lock().seats.remove(&self.place.id);
    }
}

/// Which seat a request came from.
#[derive(Clone)]
pub(super) struct Place {
    seats: Seats,
    id: u64,
}

impl Place {
    fn change<T>(&self, change: impl FnOnce(&mut Seated) -> T) -> Option<T> {
        self.seats.lock().seats.get_mut(&self.id).map(change)
    }

    /// A whole request has come.
    pub(super) fn asks(&self) {
        self.change(|seated| seated.asked = Instant::now());
    }

    /// When they last asked; `None` for as long as they watch.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.change(|seated| (!seated.watches).then_some(seated.asked)).flatten()
    }

    /// An answer without an end; `None` where their peer watches enough already.
    pub(super) fn watch(&self) -> Option<Watch> {
        let mut taken = self.seats.lock();
        let peer = taken.seats.get(&self.id)?.peer;
        if taken.of(peer).filter(|seated| seated.watches).count() >= WATCHING_OF_A_PEER {
            return None;
        }
        taken.seats.get_mut(&self.id)?.watches = true;
        Some(Watch(self.clone()))
    }
}

/// Watches for as long as it lives.
pub(super) struct Watch(Place);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.change(|seated| (seated.watches, seated.asked) = (false, Instant::now()));
    }
}
