//! The five steps of the guide: pure judgement over facts. Nothing here looks, writes or knows the time by itself.

pub mod baseline;
pub mod brakes;
pub mod canary;
pub mod dates;
pub mod decisions;
pub mod facts;
pub mod foresight;
pub mod good_cycle;
pub mod group_plan;
pub mod kept;
pub mod others;
pub mod permissions;
pub mod pim;
pub mod plan;
pub mod preflight;
pub mod restored;
pub mod roadmap;
pub mod step;
pub mod steps;
pub mod steps_left;
pub mod strangers;
pub mod waves;
