//! The real loop over the real clients against the practice tenant, in one process and under a paused clock.

mod bad_input;
mod cuts;
mod kept;
mod lent;
mod lost;
mod midway;
mod restored;
#[path = "../common/status.rs"]
mod status;
#[path = "../common/rig.rs"]
mod support;
mod target;
mod tokens;
mod told;
mod turns;
mod undone;
#[path = "../common/walk.rs"]
mod walk;
mod watched;
