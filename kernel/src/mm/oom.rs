//! When there is no memory left.

use super::reclaim;

/// What a task that needs memory does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Try again.
    Retry,
    /// Give up: it is the one that was killed.
    Die,
}

/// Makes room.
pub fn relieve() -> Relief {
    if reclaim::make_room() > 0 { Relief::Retry } else { Relief::Die }
}
