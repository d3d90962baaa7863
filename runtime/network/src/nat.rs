//! The kernel's address translation: `/proc/net/coffer/nat`, one rule a line. Writing `add RULE` or `del RULE` changes
//! it, reading gives the rules. It is Coffer's own; stock Linux has netfilter in its place, which nothing here speaks.

use std::fs;
use std::io::{ErrorKind, Write as _};

use rustix::io::Errno;

use crate::Error;

/// The calling thread's namespace's, not the process's.
const FILE: &str = "/proc/thread-self/net/coffer/nat";

/// The same where the kernel has no `thread-self`.
const FALLBACK: &str = "/proc/net/coffer/nat";

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Done,
    /// Adding what is there, removing what is not.
    Nothing,
    /// This kernel has no such file.
    Unsupported,
}

/// Adds a rule.
pub fn add(rule: &str) -> Result<Change, Error> {
    change("add", rule, Errno::EXIST)
}

/// Removes a rule.
pub fn remove(rule: &str) -> Result<Change, Error> {
    change("del", rule, Errno::NOENT)
}

/// All rules. None where the kernel has none.
pub fn rules() -> Result<Option<Vec<String>>, Error> {
    for path in [FILE, FALLBACK] {
        match fs::read_to_string(path) {
            Ok(text) => return Ok(Some(text.lines().map(str::to_owned).collect())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::system("read the table of address translation")(error)),
        }
    }
    Ok(None)
}

fn change(verb: &str, rule: &str, no_change: Errno) -> Result<Change, Error> {
    for path in [FILE, FALLBACK] {
        let mut file = match fs::OpenOptions::new().write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::system("open the table of address translation")(error)),
        };
        // One write, one line: the kernel takes whole lines.
        return match file.write_all(format!("{verb} {rule}\n").as_bytes()) {
            Ok(()) => Ok(Change::Done),
            Err(error) if error.raw_os_error() == Some(no_change.raw_os_error()) => Ok(Change::Nothing),
            Err(error) => Err(Error::system(format!("{verb} the rule `{rule}`"))(error)),
        };
    }
    Ok(Change::Unsupported)
}
