//! unscim retires the SCIM group provisioning of one app without touching a single user.
//!
//! ```text
//!             model/  what we talk about: plain data
//!               |
//!    spec ---+  |
//!            v  v
//!  observe -> facts -> plan -> approve -> act -> report -> /status, /metrics, the page, the ledger
//!     ^                 |        |         |
//!   world/            judge/   judge/    world/
//!   (reads)         5 steps   brakes    (writes)
//! ```
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod evidence;
pub mod judge;
pub mod model;
pub mod operator;
pub mod practice;
pub mod serve;
pub mod turn;
pub mod undo;
pub mod world;
