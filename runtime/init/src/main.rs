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
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    // Asked first: a container that wants an init has this program as pid 1 of its own namespace.
    if let Some(code) = coffer_engine::helper::as_init(&args) {
        return code;
    }
    // The machine's first process finds nothing mounted.
    if rustix::process::getpid().is_init() && !Path::new("/proc/self").exists() {
        return sequence::run();
    }
    if !is_the_machines_own() {
        eprintln!("init: this program has no other use in a container than `docker run --init`");
        return ExitCode::FAILURE;
    }
    if let Some(code) = coffer_engine::helper::main(&args) {
        return code;
    }
    if args.get(1).is_some_and(|word| word == "engine") {
        return runtime_api::main(args.get(2));
    }
    eprintln!("init: this is the first process of the Coffer image; its other parts are started by itself");
    ExitCode::FAILURE
}

/// Whether the root is the machine's, where this program is /init. A container's processes are this program until they execute their own, and
/// may find it as /proc/self/exe.
fn is_the_machines_own() -> bool {
    let file = |path| std::fs::metadata(path).map(|it| (it.dev(), it.ino()));
    matches!((file("/init"), file("/proc/self/exe")), (Ok(init), Ok(own)) if init == own)
}
