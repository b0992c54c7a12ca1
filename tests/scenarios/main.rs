//! The real loop over the real clients against the practice tenant, in one process and under a paused clock.

mod bad_input;
mod cuts;
mod lost;
mod support;
mod target;
mod tokens;
mod told;
mod turns;
mod undone;
mod walk;
mod watched;
