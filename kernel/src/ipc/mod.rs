//! System V objects (sysvipc(7)): [`shm`], [`sem`], [`msg`]. Each IPC namespace has an [`Objects`] of each kind. And POSIX message queues
//! ([`mq`]).

pub mod mq;
pub mod msg;
mod objects;
mod permissions;
pub mod sem;
pub mod shm;
mod trace;

pub use objects::Objects;
pub use permissions::{Owner, Permissions};

/// Seconds since 1970, as these objects keep times.
fn now() -> i64 {
    (crate::time::realtime_now() / 1_000_000_000).cast_signed()
}
