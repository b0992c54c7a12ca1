//! unscim retires the SCIM group provisioning of one app without touching a single user.
//!
//! ```text
//!             model/  what we talk about: plain data
//!               |
//!    spec ---+  |
//!            v  v
//!  observe -> facts -> plan -> approve -> act -> report -> /status, /metrics, the page, the ledger
//!     ^                 |        |         |
//!   world/            guide/   brakes    world/
//!   (reads)         5 steps    limits    (writes)
//! ```
#![forbid(unsafe_code)]

pub mod act;
pub mod bars;
pub mod brakes;
pub mod cli;
pub mod config;
pub mod demo;
pub mod evidence;
pub mod guide;
pub mod inspect;
pub mod model;
pub mod observe;
pub mod plan;
pub mod practice;
pub mod reconcile;
pub mod remember;
pub mod report;
pub mod rollback;
pub mod run;
pub mod serve;
pub mod settle;
pub mod sim;
pub mod term;
pub mod undo;
pub mod wiring;
pub mod witness;
pub mod world;
