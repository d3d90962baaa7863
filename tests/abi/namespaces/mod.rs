//! Namespaces: mount, pid, uts, ipc (namespaces(7)).

use crate::case::Case;

mod files;
mod mount;
mod pid;
mod uts;

pub const CASES: &[&[Case]] = &[files::CASES, mount::CASES, uts::CASES, pid::CASES];
