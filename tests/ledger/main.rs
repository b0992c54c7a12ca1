//! The ledger on disk, and its journal as evidence.

mod disk;
mod journal;

use jiff::Timestamp;
use unscim::model::action::Action;
use unscim::world::error::Result;
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Ledger, Outcome};

fn intend(ledger: &SqliteLedger, turn: u64, action: &Action, at: Timestamp) -> Result<i64> {
    ledger.intend(turn, std::slice::from_ref(action), at).map(|lines| lines[0])
}

fn conclude(ledger: &SqliteLedger, intent: i64, outcome: &Outcome, at: Timestamp) -> Result<()> {
    ledger.conclude(&[(intent, outcome.clone())], at)
}
