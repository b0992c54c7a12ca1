//! What is seen from outside, and the socket that it is seen through.

#[path = "../common/authority.rs"]
mod authority;
#[path = "../common/lines.rs"]
mod lines;
mod listener;
mod page;
mod shown;
mod tls;
