//! Locks that spin, locks that sleep, and queues to sleep on.

mod mutex;
mod rwlock;
mod spin_lock;
mod wait_queue;

pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use spin::{LazyLock as Lazy, Once};
pub use spin_lock::{SpinLock, SpinLockGuard};
pub use wait_queue::{WaitQueue, Waiter, Waker};
