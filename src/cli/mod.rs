//! What a person types: one file a verb, and what all of them share.

pub mod args;
pub mod check;
pub mod demo;
pub mod freeze;
mod hangup;
pub mod operator;
pub mod plan;
pub mod practice;
pub mod report;
pub mod rollback;
pub mod run;
pub mod status;
pub mod telemetry;
pub mod terminal;
mod tls;
pub mod verify;
