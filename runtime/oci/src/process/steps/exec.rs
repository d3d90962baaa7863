//! Executing the container's program.

use std::ffi::{CString, NulError};
use std::io;
use std::path::Path;

use oci_spec::runtime::Process;
use rustix::fs::{Access, Stat};
use rustix::io::Errno;

use crate::Error;
use crate::error::{NOT_EXECUTABLE, NOT_FOUND};
use crate::spec::INIT;

/// The file of the program that this process still is.
#[derive(Debug)]
pub struct Own(Option<Stat>);

impl Own {
    /// Looks while /proc is the machine's. Where there is none, nothing leads to the file either.
    pub fn look() -> Self {
        Self(rustix::fs::stat("/proc/self/exe").ok())
    }

    fn is(&self, path: &str) -> bool {
        let theirs = rustix::fs::stat(path).ok();
        self.0.zip(theirs).is_some_and(|(own, it)| (own.st_dev, own.st_ino) == (it.st_dev, it.st_ino))
    }
}

/// Executes the program; returns only what went wrong. Exit codes as docker: 127 when it is not there, 126 when it cannot be
/// executed.
///
/// In a container, /proc/self/exe and whatever links to it is this program until it executes another. It is not the container's to run,
/// but for the init that it was given.
pub fn exec(process: &Process, own: &Own) -> Error {
    let args = process.args().as_deref().unwrap_or_default();
    let Some(program) = args.first() else { return Error::NoCommand };
    let env = process.env().as_deref().unwrap_or_default();
    let path = match find(program, env) {
        Ok(path) => path,
        Err(error) => return error,
    };
    if own.is(&path) && path != INIT {
        return failure(program, &Errno::ACCESS.into());
    }

    let [program_text, args, env] = [std::slice::from_ref(&path), args, env].map(c_strings);
    match (program_text.as_deref(), args, env) {
        (Ok([path]), Ok(args), Ok(env)) => failure(program, &runtime_sys::exec::exec(path, &args, &env)),
        _ => Error::Nul { what: "command or environment" },
    }
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, NulError> {
    texts.iter().map(|text| CString::new(text.as_str())).collect()
}

/// Looks a name without slash up in the container's PATH.
fn find(program: &str, env: &[String]) -> Result<String, Error> {
    if program.contains('/') {
        return match std::fs::metadata(program) {
            Ok(metadata) if metadata.is_dir() => Err(failure(program, &Errno::ISDIR.into())),
            Ok(_) => Ok(program.to_owned()),
            Err(error) => Err(failure(program, &error)),
        };
    }
    let path = env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    path.split(':')
        .map(|folder| if folder.is_empty() { format!("./{program}") } else { format!("{folder}/{program}") })
        .find(|candidate| is_executable(Path::new(candidate)))
        .ok_or_else(|| Error::Exec {
            program: program.to_owned(),
            reason: "executable file not found in $PATH".to_owned(),
            code: NOT_FOUND,
        })
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

fn failure(program: &str, error: &io::Error) -> Error {
    let errno = Errno::from_io_error(error);
    let reason = match errno {
        Some(Errno::NOENT | Errno::NOTDIR) => "no such file or directory".to_owned(),
        Some(Errno::ACCESS | Errno::PERM) => "permission denied".to_owned(),
        Some(Errno::NOEXEC) => "exec format error".to_owned(),
        Some(Errno::ISDIR) => "is a directory".to_owned(),
        _ => error.to_string(),
    };
    let is_absent = matches!(errno, Some(Errno::NOENT | Errno::NOTDIR));
    let code = if is_absent { NOT_FOUND } else { NOT_EXECUTABLE };
    Error::Exec { program: program.to_owned(), reason, code }
}
