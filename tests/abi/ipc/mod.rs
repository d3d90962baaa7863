//! System V objects (sysvipc(7)) and POSIX message queues (mq_overview(7)).

use nix::errno::Errno;

use crate::case::Case;

mod mq;
mod msg;
mod sem;
mod shm;

pub const CASES: &[&[Case]] = &[shm::CASES, sem::CASES, msg::CASES, mq::CASES];

const CREATE: i32 = libc::IPC_CREAT | 0o600;

/// A key that this case alone uses.
fn own_key(number: i32) -> i32 {
    0x0c0f_0000 + number
}

/// The errno of a failed wrapper, or its value.
fn result(value: i32) -> nix::Result<i32> {
    Errno::result(value)
}
