//! The five steps of the guide, each in a file of its own.

pub mod assign;
pub mod cycle;
pub mod empty;
pub mod revoke;
pub mod unassign;

use crate::judge::step::Step;

pub const GUIDE: [Step; 5] = [assign::STEP, empty::STEP, unassign::STEP, cycle::STEP, revoke::STEP];
