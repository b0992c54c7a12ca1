//! What is seen from outside, and the socket that it is seen through.

mod listener;
mod page;
mod shown;
