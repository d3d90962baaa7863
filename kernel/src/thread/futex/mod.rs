//! Futexes (futex(2)): sleeping until a word of user memory changes. Private ones are known by address space and address, shared ones by
//! file and offset.
//!
//! Waiters sit in hashed buckets. The word is compared under the bucket's lock, where page faults cannot be served: if its page
//! is missing, the lock is dropped, the page is brought in, and the look repeated.

mod bucket;
mod key;
mod robust;
mod wait;
mod wake;

pub use robust::release_robust_list;
pub use wait::wait;
pub use wake::{WakeOp, requeue, wake, wake_op};

/// Matches every waiter (FUTEX_BITSET_MATCH_ANY).
pub const ANY: u32 = u32::MAX;
