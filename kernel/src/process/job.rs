//! Moving between process groups and sessions (setpgid(2), setsid(2)).

use super::group::{ProcessGroup, Session};
use super::{Process, TREE};
use crate::error::{Errno, Result};
use alloc::sync::Arc;

/// Moves `process` — `caller` or a child of it that has not called execve(2) — into group `number` (0: its own) of its session.
///
/// # Errors
/// ESRCH, EACCES, EPERM, as setpgid(2).
pub fn set_group(caller: &Arc<Process>, process: &Arc<Process>, number: u32) -> Result<()> {
    let _tree = TREE.lock();
    if !Arc::ptr_eq(process, caller) {
        if !process.parent().is_some_and(|parent| Arc::ptr_eq(&parent, caller)) {
            return Err(Errno::ESRCH.into());
        }
        if process.has_executed() {
            return Err(Errno::EACCES.into());
        }
        if !Arc::ptr_eq(&process.session(), &caller.session()) {
            return Err(Errno::EPERM.into());
        }
    }
    let session = process.session();
    if Arc::ptr_eq(session.id(), process.id()) {
        return Err(Errno::EPERM.into());
    }
    let own_number = process.id().number_in(caller.pid_namespace());
    let group = if number == 0 || number == own_number {
        process.id().group().unwrap_or_else(|| ProcessGroup::new(process.id(), &session))
    } else {
        let id = caller.pid_namespace().find(number).ok_or(Errno::EPERM)?;
        id.group().filter(|group| !group.members().is_empty()).ok_or(Errno::EPERM)?
    };
    if !Arc::ptr_eq(group.session(), &session) {
        return Err(Errno::EPERM.into());
    }
    if !Arc::ptr_eq(&process.group(), &group) {
        process.move_to_group(&group);
    }
    Ok(())
}

/// Makes `process` the leader of a new session and of a new group in it, without a terminal.
///
/// # Errors
/// EPERM if it leads a group.
pub fn new_session(process: &Arc<Process>) -> Result<()> {
    let _tree = TREE.lock();
    if process.id().group().is_some() || process.id().session().is_some() {
        return Err(Errno::EPERM.into());
    }
    let session = Session::new(process.id());
    process.move_to_group(&ProcessGroup::new(process.id(), &session));
    Ok(())
}
