//! Waiting for descriptors, and descriptors made to be waited for.

use crate::case::Case;

mod aio;
mod epoll;
mod eventfd;
mod inotify;
mod poll;
mod signalfd;
mod timerfd;

pub const CASES: &[&[Case]] =
    &[eventfd::CASES, poll::CASES, epoll::CASES, timerfd::CASES, signalfd::CASES, inotify::CASES, aio::CASES];
