//! Who may send signals to whom (kill(2)).

use super::Signal;
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::process::credentials::Capability;
use alloc::sync::Arc;

/// Whether `sender` may send `signal` (`None`: just ask) to `target`.
///
/// # Errors
/// EPERM.
pub fn check(sender: &Process, target: &Process, signal: Option<Signal>) -> Result<()> {
    let (own, other) = (sender.credentials(), target.credentials());
    let is_same_user =
        [own.uid[0], own.uid[1]].iter().any(|uid| *uid == other.uid[0] || *uid == other.uid[2]);
    let is_continue = signal == Some(Signal::CONT) && Arc::ptr_eq(&sender.session(), &target.session());
    if is_same_user || is_continue || own.has_in(&other.user, Capability::Kill) {
        Ok(())
    } else {
        Err(Errno::EPERM.into())
    }
}
