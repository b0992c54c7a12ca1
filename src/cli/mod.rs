//! What a person types: one file a verb, and what all of them share.

pub mod args;
pub mod demo;
pub mod inspect;
pub mod practice;
pub mod rollback;
pub mod run;
pub mod telemetry;
pub mod terminal;
