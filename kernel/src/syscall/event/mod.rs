//! Calls that wait for files to become ready.

pub mod epoll;
pub mod eventfd;
pub mod poll;
pub mod select;

mod timeout;
