//! One state: the tenant, what the daemon keeps, and what it is about to do.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use unscim::model::action::Action;
use unscim::model::snapshot::TargetLook;
use unscim::turn::act::volley;

use crate::book::Book;
use crate::tenant::Tenant;

/// How much may go wrong on one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trouble {
    pub faults: u8,
    pub crashes: u8,
    pub admin: u8,
}

#[derive(Clone, Debug)]
pub struct State {
    pub tenant: Tenant,
    pub book: Book,
    pub target: Option<Arc<TargetLook>>,
    /// What is left of the approved plan.
    pub pending: Vec<Action>,
    /// What went out at once and stands in the journal; each takes effect by itself.
    pub flight: Vec<Action>,
    /// The look of this tick was made.
    pub looked: bool,
    pub left: Trouble,
    pub asked: bool,
    pub last_unassigned: Option<Timestamp>,
    key: (u64, u64),
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key.hash(hasher);
    }
}

impl State {
    pub fn new(tenant: Tenant, left: Trouble) -> State {
        State {
            book: Book::default(),
            target: None,
            pending: Vec::new(),
            flight: Vec::new(),
            looked: false,
            left,
            asked: false,
            last_unassigned: None,
            key: (0, 0),
            tenant,
        }
    }

    /// What goes out next, once everything before it has its answer: in the journal first.
    pub fn take_off(&mut self) {
        if !self.flight.is_empty() {
            return;
        }
        let next: Vec<usize> = volley::next(&self.pending, usize::MAX).concat();
        self.flight = next.iter().map(|index| self.pending[*index].clone()).collect();
        let mut index = 0..;
        self.pending.retain(|_| index.next().is_some_and(|index| !next.contains(&index)));
        for action in &self.flight {
            self.book.intend(action, self.tenant.now);
            if *action == Action::RequestRevocation {
                // Once it stands in the journal the status says so, and the person acts on that.
                self.tenant.revocation_is_due(self.last_unassigned);
                self.asked = true;
            }
        }
    }

    pub fn sealed(self, key: (u64, u64)) -> State {
        State { key, ..self }
    }

    pub fn key(&self) -> (u64, u64) {
        self.key
    }
}
