//! The real loop over the real clients against the practice tenant, in one process and under a paused clock.

mod bad_input;
mod cuts;
mod gauges;
mod kept;
mod midway;
mod once_lost;
mod pim;
mod reporting;
mod restored;
mod rollback;
#[path = "../common/status.rs"]
mod status;
#[path = "../common/rig.rs"]
mod support;
mod target;
mod tokens;
mod turns;
#[path = "../common/walk.rs"]
mod walk;
