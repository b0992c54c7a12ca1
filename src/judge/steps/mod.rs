//! The five steps of the guide, each in a file of its own.

pub mod assign;
pub mod cycle;
pub mod empty;
pub mod revoke;
pub mod unassign;
