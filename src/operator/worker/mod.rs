//! What a worker is, made of its resource: pure, and the same for the same resource, so that two operators do no harm.

pub mod config;
pub mod egress;
pub mod image;
pub mod names;
pub mod objects;
