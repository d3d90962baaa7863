//! Calls that wait for files to become ready.

pub mod aio;
pub mod epoll;
pub mod eventfd;
pub mod inotify;
pub mod poll;
pub mod select;
pub mod signalfd;
pub mod timerfd;

mod mask;
mod timeout;
