//! The provisioning engine: cycles over the true scope, real SCIM requests to the target, rows in the log. What a cycle
//! wants is decided by [`crate::model::engine::plan_cycle`]; here it is only carried out.

mod cycle;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod job;
pub(crate) mod log;
pub(crate) mod scim;
pub(crate) mod scope;
pub(crate) mod sync;

pub use self::cycle::Cycle;
pub(crate) use self::cycle::cycle;
