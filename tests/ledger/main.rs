//! The ledger on disk, and its journal as evidence.

mod disk;
mod journal;
