//! Another daemon, with a ledger of its own, over the same app.

use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use unscim::model::spec::Spec;
use unscim::model::status::Status;
use unscim::turn::{LoopState, Permit, turn};
use unscim::world::connect::Outside;
use unscim::world::http::{Transport, Unobserved};
use unscim::world::ledger::SqliteLedger;

use crate::dice::Dice;
use crate::support::{Hand, TokioClock};

/// When it takes its turn, as seen from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    Beside,
    After,
}

pub struct Second {
    dir: TempDir,
    world: Option<Outside<TokioClock, Hand>>,
    state: LoopState,
    /// Turns that it still takes in this row of them.
    row: usize,
    pub turns: usize,
}

impl Second {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Second { dir, world: None, state: LoopState::default(), row: 0, turns: 0 }
    }

    /// Whether it takes a turn now: one, or many in a row.
    pub fn comes(&mut self, dice: &mut Dice) -> Option<When> {
        if self.row == 0 && dice.one_in(6) {
            self.row = *dice.of(&[1, 1, 3, 30]);
        }
        self.row = self.row.checked_sub(1)?;
        if dice.one_in(20) {
            (self.world, self.state) = (None, LoopState::default());
        }
        Some(*dice.of(&[When::Before, When::Beside, When::After]))
    }

    pub async fn turn(&mut self, spec: &Spec, transport: &Transport, clock: &TokioClock) -> Status {
        self.turns += 1;
        let world = self.world.get_or_insert_with(|| {
            let ledger = SqliteLedger::open(&self.dir.path().join("data")).expect("the ledger");
            Outside::new(spec, transport.clone(), Arc::new(Unobserved), ledger, clock.clone(), Hand::default())
        });
        let stop = CancellationToken::new();
        turn(world, spec, Permit::FirstBaseline, &mut self.state, &stop).await.expect("nobody asked it to stop").status
    }
}
