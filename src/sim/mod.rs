//! A practice tenant to rehearse on; nothing but the demo and the tests imports it.

pub mod scim_app;
