//! FUTEX_WAIT.

use super::bucket::{self, Waiting};
use super::key::Key;
use crate::error::{Errno, Result};
use crate::mm::AddressSpace;
use crate::thread::wait::sleep_loop;
use alloc::sync::Arc;
use core::cell::OnceCell;
use ostd::mm::Vaddr;
use ostd::mm::user_io::load_u32;
use ostd::sync::Waker;

/// Sleeps while the word at `address` is `expected`, until a wake with one of `bits` or `deadline_ns` (monotonic).
///
/// # Errors
/// EAGAIN if it is another value, ETIMEDOUT, ERESTARTSYS on a signal, EFAULT, EINVAL.
pub fn wait(
    space: &AddressSpace,
    address: Vaddr,
    is_private: bool,
    expected: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> Result<()> {
    let key = Key::new(space, address, is_private)?;
    let entry: OnceCell<Result<Arc<Waiting>>> = OnceCell::new();
    let result = sleep_loop(
        deadline_ns,
        |waiter| {
            entry.get_or_init(|| enqueue(key, address, expected, bits, waiter.waker()));
        },
        |_| {},
        || match entry.get()? {
            Ok(waiting) => waiting.is_woken().then_some(Ok(())),
            Err(error) => Some(Err(*error)),
        },
    );
    match result {
        Ok(result) => result,
        // A wake that came with the signal or the end of the time was meant for us: it must not be lost.
        Err(error) => match entry.get() {
            Some(Ok(waiting)) if !bucket::remove(waiting) => Ok(()),
            _ => Err(error),
        },
    }
}

fn enqueue(key: Key, address: Vaddr, expected: u32, bits: u32, waker: &Arc<Waker>) -> Result<Arc<Waiting>> {
    loop {
        let mut bucket = bucket::lock(&key);
        bucket.announce();
        match load_u32(address) {
            Ok(value) if value == expected => {
                let waiting = Waiting::new(bits, waker.clone(), bucket.index());
                bucket.add(key, waiting.clone());
                return Ok(waiting);
            }
            Ok(_) => return Err(Errno::EAGAIN.into()),
            Err(_) => {
                drop(bucket);
                load_u32(address)?;
            }
        }
    }
}
