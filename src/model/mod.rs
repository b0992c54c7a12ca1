//! What we talk about: plain data, no input or output, no clock.

pub mod action;
pub mod baseline;
pub mod compact;
pub mod condition;
pub mod engine;
pub mod extent;
pub mod history;
pub mod id;
pub mod journal;
pub mod key;
pub mod last_read;
pub mod memory;
pub mod moment;
pub mod names;
pub mod observed;
pub mod snapshot;
pub mod spec;
pub mod status;
pub mod stranger;
pub mod timeline;
pub mod window;
pub mod words;
pub mod write_record;
