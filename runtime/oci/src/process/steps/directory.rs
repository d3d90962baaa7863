//! The working directory, made when the image lacks it, as docker does.

use oci_spec::runtime::Process;
use rustix::fs::OFlags;

use crate::Error;
use crate::root::{Missing, Root};

/// Makes and enters it. Called inside of the container's root. No magic link of /proc is followed: a working directory such as
/// `/proc/self/fd/7` would lead to whatever the runtime has open.
pub fn create_and_enter(process: &Process) -> Result<(), Error> {
    let what = || format!("enter the working directory `{}`", process.cwd().display());
    let root = Root::new("/");
    match root.open_or_make(process.cwd(), Missing::Directory) {
        Ok(_) => {}
        // On what is mounted read-only it either exists or entering it tells.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
        Err(error) => return Err(Error::io(what())(error)),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = root.open(process.cwd(), flags).map_err(Error::io(what()))?;
    rustix::process::fchdir(&directory).map_err(Error::system(what()))
}
