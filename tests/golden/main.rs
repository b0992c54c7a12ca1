//! The pure judgement, one state of the world at a time: met, act, wait, refuse for each step, and each brake just under and
//! just over its limit. "Again changes nothing" is asserted for every verdict.

#[path = "../common/book.rs"]
pub mod book;
#[path = "../common/company.rs"]
pub mod company;
#[path = "../common/fake.rs"]
pub mod fake;

mod act;
mod baseline;
mod brakes;
mod coverage;
mod credential;
mod cycles;
mod dates;
mod figures;
mod foresight;
mod kept;
mod permissions;
mod plan;
mod preflight;
mod refused;
mod remaining;
mod remembered;
mod restored;
mod roadmap;
mod settle;
mod steps;
mod support;
mod uses;
mod volley;
mod waves;
