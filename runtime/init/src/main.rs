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
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    // Asked first: a container that wants an init has this program as pid 1 of its own namespace.
    if let Some(code) = coffer_engine::helper::main(&args) {
        return code;
    }
    // A container's first process may be this program, too, by /proc/self/exe. The machine's finds nothing mounted.
    if rustix::process::getpid().is_init() && !Path::new("/proc/self").exists() {
        return sequence::run();
    }
    if args.get(1).is_some_and(|word| word == "engine") {
        return runtime_api::main();
    }
    eprintln!("init: this is the first process of the Coffer image; its other parts are started by itself");
    ExitCode::FAILURE
}
