//! PID 1 of the image: runs the container that the attached image describes, then powers the machine off.
//!
//! Read [`sequence`] first: it names every phase in order. One thread, one `poll(2)` loop: a second thread would be in the
//! way of `clone(2)` without exec, and nothing here needs one.
#![forbid(unsafe_code)]

mod control;
mod error;
mod forward;
mod phases;
mod ports;
mod reap;
mod sequence;
mod shutdown;

use std::process::ExitCode;

fn main() -> ExitCode {
    if !rustix::process::getpid().is_init() {
        eprintln!("init: this is the first process of the Coffer image and runs as PID 1 only");
        return ExitCode::FAILURE;
    }
    sequence::run()
}
