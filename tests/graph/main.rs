//! The Graph client against services that answer oddly: in process, under tokio's paused clock.

mod batch;
mod hour;
mod identity;
mod reads;
mod service;
mod token;
mod writes;
