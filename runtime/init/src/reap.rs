//! Reaping: PID 1 inherits every orphan and must wait for all of them.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

/// Waits for every child that has ended, without blocking; returns the exit code of `wanted` if it was among them.
pub fn reap(wanted: Option<Pid>) -> Option<u8> {
    let mut code = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if Some(pid) == wanted => code = exit_code(status).or(code),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            // Nobody has ended, or (ECHILD) there is nobody.
            Ok(None) | Err(_) => return code,
        }
    }
}

/// Whether this process has any child, ended or not.
pub fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// The code that docker gives: the program's own, or 128 and the number of the signal that ended it.
fn exit_code(status: WaitStatus) -> Option<u8> {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => return None,
    };
    u8::try_from(code & 0xff).ok()
}
