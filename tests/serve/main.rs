//! What is seen from outside, and the socket that it is seen through.

#[path = "../common/authority.rs"]
mod authority;
mod listener;
mod page;
mod shown;
mod tls;
