//! The real binary as its user meets it: exit codes, signals, sudden death, what is seen from outside.

#[path = "../common/authority.rs"]
mod authority;
mod died;
mod evidence;
#[path = "../common/lines.rs"]
mod lines;
mod lives;
mod network;
mod rollback;
#[path = "../common/daemon.rs"]
mod support;
mod terminal;
mod tls;
mod told;
mod traced;
mod verbs;
