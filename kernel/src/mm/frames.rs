//! Frames for user data: allocation that makes room first.

use super::reclaim;
use crate::error::Result;
use ostd::mm::UFrame;
use ostd::sync::Once;

/// A frame of zeros. May sleep to evict pages.
///
/// # Errors
/// ENOMEM when nothing could be evicted.
pub fn zeroed() -> Result<UFrame> {
    with_room(UFrame::alloc_zeroed)
}

/// A frame whose bytes are whatever they were: the caller overwrites all of it. May sleep to evict pages.
///
/// # Errors
/// As [`zeroed`].
pub fn dirty() -> Result<UFrame> {
    with_room(UFrame::alloc_dirty)
}

/// The page of zeros that untouched anonymous memory shows to readers; `None` if memory was exhausted before its first use.
pub fn zero_page() -> Option<&'static UFrame> {
    static ZERO: Once<UFrame> = Once::new();
    ZERO.try_call_once(UFrame::alloc_zeroed).ok()
}

fn with_room(allocate: fn() -> ostd::Result<UFrame>) -> Result<UFrame> {
    if let Ok(frame) = allocate() {
        return Ok(frame);
    }
    while reclaim::make_room() > 0 {
        if let Ok(frame) = allocate() {
            return Ok(frame);
        }
    }
    Ok(allocate()?)
}
