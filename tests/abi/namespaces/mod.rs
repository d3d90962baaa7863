//! Namespaces: mount, network, pid, uts, ipc (namespaces(7)).

use crate::case::Case;

mod files;
mod mount;
mod net;
mod pid;
mod user;
mod uts;

pub const CASES: &[&[Case]] = &[files::CASES, mount::CASES, net::CASES, uts::CASES, pid::CASES, user::CASES];
