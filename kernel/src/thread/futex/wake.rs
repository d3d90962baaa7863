//! FUTEX_WAKE, FUTEX_WAKE_OP and FUTEX_REQUEUE.

use super::ANY;
use super::bucket::{self, Locked, Waiting};
use super::key::Key;
use crate::error::{Errno, Result};
use crate::mm::AddressSpace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::Vaddr;
use ostd::mm::user_io::{compare_exchange_u32, load_u32};

/// Wakes up to `count` waiters with one of `bits`; returns how many.
///
/// # Errors
/// EINVAL, EFAULT.
pub fn wake(
    space: &AddressSpace,
    address: Vaddr,
    is_private: bool,
    count: usize,
    bits: u32,
) -> Result<usize> {
    let key = Key::new(space, address, is_private)?;
    if bucket::is_empty(&key) {
        return Ok(0);
    }
    let mut bucket = bucket::lock(&key);
    // The first needs no list.
    let first = if count > 0 { bucket.take(&key, bits) } else { None };
    let Some(first) = first else { return Ok(0) };
    let more = take(&mut bucket, &key, count - 1, bits);
    drop(bucket);
    first.wake();
    more.iter().for_each(|waiting| waiting.wake());
    Ok(1 + more.len())
}

/// Wakes up to `wake_count` waiters of `first` and moves up to `requeue_count` others to `second`, if the word at `first` is `expected`.
/// Returns how many were woken and how many moved.
///
/// # Errors
/// EAGAIN if it is another value; EINVAL, EFAULT.
pub fn requeue(
    space: &AddressSpace,
    (first, second): (Vaddr, Vaddr),
    is_private: bool,
    (wake_count, requeue_count): (usize, usize),
    expected: Option<u32>,
) -> Result<(usize, usize)> {
    let first_key = Key::new(space, first, is_private)?;
    let second_key = Key::new(space, second, is_private)?;
    loop {
        let (mut from, mut to) = bucket::lock_two(&first_key, &second_key);
        if let Some(expected) = expected {
            match load_u32(first) {
                Ok(value) if value == expected => {}
                Ok(_) => return Err(Errno::EAGAIN.into()),
                Err(_) => {
                    drop((from, to));
                    load_u32(first)?;
                    continue;
                }
            }
        }
        let woken = take(&mut from, &first_key, wake_count, ANY);
        let moved = if first_key == second_key {
            Vec::new()
        } else {
            take(&mut from, &first_key, requeue_count, ANY)
        };
        let counts = (woken.len(), moved.len());
        for waiting in moved {
            to.as_mut().unwrap_or(&mut from).add(second_key, waiting);
        }
        drop((from, to));
        woken.iter().for_each(|waiting| waiting.wake());
        return Ok(counts);
    }
}

/// The operation and comparison that FUTEX_WAKE_OP packs into its last argument.
#[derive(Clone, Copy, Debug)]
pub struct WakeOp {
    operation: u32,
    comparison: u32,
    operand: i32,
    compared: i32,
}

impl WakeOp {
    /// Unpacks it.
    ///
    /// # Errors
    /// ENOSYS for an operation or comparison that there is not.
    pub fn decode(packed: u32) -> Result<Self> {
        let extend = |bits: u32| (bits << 20) as i32 >> 20;
        let operation = packed >> 28 & 7;
        let mut operand = extend(packed >> 12 & 0xfff);
        if packed >> 31 != 0 {
            // FUTEX_OP_ARG_SHIFT; Linux takes the low bits of a shift that is too large.
            operand = 1 << (operand & 31);
        }
        let comparison = packed >> 24 & 0xf;
        if operation > 4 || comparison > 5 {
            return Err(Errno::ENOSYS.into());
        }
        Ok(Self { operation, comparison, operand, compared: extend(packed & 0xfff) })
    }

    fn apply(&self, old: u32) -> u32 {
        let operand = self.operand as u32;
        match self.operation {
            0 => operand,
            1 => old.wrapping_add(operand),
            2 => old | operand,
            3 => old & !operand,
            _ => old ^ operand,
        }
    }

    fn compares(&self, old: u32) -> bool {
        let old = old as i32;
        match self.comparison {
            0 => old == self.compared,
            1 => old != self.compared,
            2 => old < self.compared,
            3 => old <= self.compared,
            4 => old > self.compared,
            _ => old >= self.compared,
        }
    }
}

/// Changes the word at `second`, wakes up to `counts.0` waiters of `first` and, if the old value compares, up to `counts.1` of `second`.
///
/// # Errors
/// EINVAL, EFAULT.
pub fn wake_op(
    space: &AddressSpace,
    (first, second): (Vaddr, Vaddr),
    is_private: bool,
    counts: (usize, usize),
    op: WakeOp,
) -> Result<usize> {
    let first_key = Key::new(space, first, is_private)?;
    let second_key = Key::new(space, second, is_private)?;
    loop {
        let (mut a, mut b) = bucket::lock_two(&first_key, &second_key);
        let old = match change(second, &op) {
            Ok(old) => old,
            Err(_) => {
                drop((a, b));
                // Brings the page in for writing.
                let value = load_u32(second)?;
                compare_exchange_u32(second, value, value)?;
                continue;
            }
        };
        let mut woken = take(&mut a, &first_key, counts.0, ANY);
        if op.compares(old) {
            woken.append(&mut take(b.as_mut().unwrap_or(&mut a), &second_key, counts.1, ANY));
        }
        drop((a, b));
        woken.iter().for_each(|waiting| waiting.wake());
        return Ok(woken.len());
    }
}

fn change(address: Vaddr, op: &WakeOp) -> Result<u32> {
    let mut old = load_u32(address)?;
    loop {
        let found = compare_exchange_u32(address, old, op.apply(old))?;
        if found == old {
            return Ok(old);
        }
        old = found;
    }
}

fn take(bucket: &mut Locked, key: &Key, count: usize, bits: u32) -> Vec<Arc<Waiting>> {
    let mut taken = Vec::new();
    while taken.len() < count
        && let Some(waiting) = bucket.take(key, bits)
    {
        taken.push(waiting);
    }
    taken
}
