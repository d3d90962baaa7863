//! PID 1 of the image, and every other program in it: one binary, which its first argument tells what to be.
//!
//! As PID 1, read [`sequence`] first: it names every phase in order. PID 1 has one thread and one `poll(2)` loop: a second thread
//! would be in the way of `clone(2)` without exec, and nothing here needs one.
#![forbid(unsafe_code)]

mod control;
mod error;
mod forward;
mod phases;
mod ports;
mod reap;
mod sequence;
mod shutdown;
mod supervise;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        return sequence::run();
    }
    let program = env::args().nth(1).unwrap_or_default();
    eprintln!("init: the image has no program `{program}`; without one, this runs as PID 1 only");
    ExitCode::FAILURE
}
