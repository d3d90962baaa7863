//! Frames for user data: allocation that makes room first, at somebody's expense.

use super::account::{Account, Kind};
use super::{oom, reclaim};
use crate::error::Result;
use crate::thread::Thread;
use ostd::mm::UFrame;
use ostd::sync::Once;

/// A frame of zeros for a file in memory, at the expense of the current process's group. May sleep to make room.
///
/// # Errors
/// ENOMEM when there is none to be made.
pub fn zeroed() -> Result<UFrame> {
    with_room(current_account(), UFrame::alloc_zeroed)
}

/// As [`zeroed`], with whatever bytes there were: the caller overwrites all of it.
///
/// # Errors
/// As [`zeroed`].
pub fn dirty() -> Result<UFrame> {
    with_room(current_account(), UFrame::alloc_dirty)
}

/// A frame with whatever bytes there were for a page that can be taken back: nobody pays for it.
///
/// # Errors
/// As [`zeroed`].
pub fn reclaimable() -> Result<UFrame> {
    with_room(Account::NONE, UFrame::alloc_dirty)
}

/// A frame for anonymous memory, at the expense of `account`. Does not sleep.
///
/// # Errors
/// [`ostd::Error::NoMemory`], also if `account` has no room.
#[inline]
pub fn anonymous(account: Account, allocate: fn() -> ostd::Result<UFrame>) -> ostd::Result<UFrame> {
    let frame = allocate()?;
    account.pay(&frame, Kind::Anonymous).map_err(|_| ostd::Error::NoMemory)?;
    Ok(frame)
}

/// The page of zeros that untouched anonymous memory shows to readers; `None` if memory was exhausted before its first use.
pub fn zero_page() -> Option<&'static UFrame> {
    static ZERO: Once<UFrame> = Once::new();
    ZERO.try_call_once(UFrame::alloc_zeroed).ok()
}

/// Who pays for what the current thread does to files.
fn current_account() -> Account {
    let space = Thread::current().and_then(|thread| thread.process().address_space());
    space.map_or(Account::NONE, |space| space.account())
}

fn with_room(account: Account, allocate: fn() -> ostd::Result<UFrame>) -> Result<UFrame> {
    let frame = loop {
        match allocate() {
            Ok(frame) => break frame,
            Err(_) if reclaim::make_room() > 0 => {}
            Err(error) => return Err(error.into()),
        }
    };
    while let Err(full) = account.pay(&frame, Kind::File) {
        oom::make_way_in(full)?;
    }
    Ok(frame)
}
