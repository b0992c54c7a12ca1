//! What of ours can be undone, judged from the journal and one look; and doing it.

mod carry_out;
mod judge;

pub use carry_out::{Rollback, look};
pub use judge::{Direct, Undo, carried, undo};
