//! The working directory, made when the image lacks it, as docker does.

use std::fs;

use oci_spec::runtime::Process;

use crate::Error;

pub fn create_and_enter(process: &Process) -> Result<(), Error> {
    let what = || format!("enter the working directory `{}`", process.cwd().display());
    match fs::create_dir_all(process.cwd()) {
        Ok(()) => {}
        // On what is mounted read-only it either exists or entering it tells.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
        Err(error) => return Err(Error::io(what())(error)),
    }
    rustix::process::chdir(process.cwd()).map_err(Error::system(what()))
}
