//! The engine's own program in its other roles: shim, helper for archives, and pid 1 of containers that ask for one (`--init`).
//!
//! To be called before any thread is started: these roles fork.

pub(crate) mod archive;
mod init;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The name under which a container's own init is started.
const INIT: &str = "docker-init";

/// Is pid 1 of a container, if that is what the program is called. This is the one role that it has in containers. `args` are the program's,
/// its own name first.
#[must_use]
pub fn as_init(args: &[OsString]) -> Option<ExitCode> {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name == INIT).then(|| init::main(args.get(1..).unwrap_or_default()))
}

/// Plays the role that the arguments name. None when they name none: then this is the engine.
#[must_use]
pub fn main(args: &[OsString]) -> Option<ExitCode> {
    if let Some(code) = as_init(args) {
        return Some(code);
    }
    match (args.get(1)?.to_str()?, args.get(2..)?) {
        ("archive", [job]) => Some(archive::main(job.to_str()?)),
        ("shim", [folder]) => Some(crate::shim::main(Path::new(folder))),
        _ => None,
    }
}
