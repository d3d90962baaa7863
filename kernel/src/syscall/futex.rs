//! [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::AddressSpace;
use crate::syscall::UserPtr;
use crate::thread::futex::{self, ANY, WakeOp};
use crate::time;
use alloc::sync::Arc;
use coffer_abi_types::futex::{
    FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_WAIT,
    FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
};
use coffer_abi_types::time::timespec;

/// Waits for a change of a word, or tells those who wait.
pub fn sys_futex(
    word: UserPtr<u32>,
    operation: u32,
    value: u32,
    // A timeout or a second count.
    fourth: usize,
    second: UserPtr<u32>,
    third_value: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let is_private = operation & FUTEX_PRIVATE_FLAG != 0;
    let is_realtime = operation & FUTEX_CLOCK_REALTIME != 0;
    let command = operation & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    if is_realtime && command != FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS.into());
    }
    let space = context.process.address_space().ok_or(Errno::EFAULT)?;
    let counts = || Ok::<_, Errno>((count(value)?, count(fourth as u32)?));
    let both = (word.address(), second.address());
    match command {
        FUTEX_WAIT => wait(&space, word, is_private, value, UserPtr::new(fourth), context),
        FUTEX_WAIT_BITSET => {
            let bits = bits(third_value)?;
            let deadline = absolute_deadline(UserPtr::new(fourth), is_realtime)?;
            futex::wait(&space, word.address(), is_private, value, bits, deadline).map(|()| 0)
        }
        FUTEX_WAKE => futex::wake(&space, word.address(), is_private, wake_count(value), ANY),
        FUTEX_WAKE_BITSET => {
            futex::wake(&space, word.address(), is_private, wake_count(value), bits(third_value)?)
        }
        FUTEX_REQUEUE => futex::requeue(&space, both, is_private, counts()?, None).map(|(woken, _)| woken),
        FUTEX_CMP_REQUEUE => futex::requeue(&space, both, is_private, counts()?, Some(third_value))
            .map(|(woken, moved)| woken + moved),
        FUTEX_WAKE_OP => {
            let counts = (wake_count(value), wake_count(fourth as u32));
            futex::wake_op(&space, both, is_private, counts, WakeOp::decode(third_value)?)
        }
        _ => Err(Errno::ENOSYS.into()),
    }
}

/// FUTEX_WAIT, whose time is relative: after a signal it goes on to the same end.
fn wait(
    space: &Arc<AddressSpace>,
    word: UserPtr<u32>,
    is_private: bool,
    expected: u32,
    timeout: UserPtr<timespec>,
    context: &Context<'_>,
) -> Result<usize> {
    let Some(timeout) = timeout.non_null() else {
        return futex::wait(space, word.address(), is_private, expected, ANY, None).map(|()| 0);
    };
    let timeout_ns = timeout.read()?.to_ns().ok_or(Errno::EINVAL)?;
    let deadline_ns = time::monotonic_now().saturating_add(timeout_ns);
    wait_until(space, word, is_private, expected, deadline_ns, context)
}

fn wait_until(
    space: &Arc<AddressSpace>,
    word: UserPtr<u32>,
    is_private: bool,
    expected: u32,
    deadline_ns: u64,
    context: &Context<'_>,
) -> Result<usize> {
    match futex::wait(space, word.address(), is_private, expected, ANY, Some(deadline_ns)) {
        Err(error) if error.errno() == Errno::ERESTARTSYS => {
            let space = space.clone();
            Err(context.thread.restart.set(move |context| {
                wait_until(&space, word, is_private, expected, deadline_ns, context)
                    .map(|woken| woken as isize)
            }))
        }
        result => result.map(|()| 0),
    }
}

fn absolute_deadline(time: UserPtr<timespec>, is_realtime: bool) -> Result<Option<u64>> {
    let Some(time) = time.non_null() else { return Ok(None) };
    let time_ns = time.read()?.to_ns().ok_or(Errno::EINVAL)?;
    let clock = if is_realtime { time::Clock::Realtime } else { time::Clock::Monotonic };
    Ok(Some(clock.to_monotonic(time_ns)))
}

fn bits(bits: u32) -> core::result::Result<u32, Errno> {
    if bits == 0 { Err(Errno::EINVAL) } else { Ok(bits) }
}

/// Linux wakes one even when asked for none or fewer.
fn wake_count(count: u32) -> usize {
    (count as i32).max(1) as usize
}

fn count(count: u32) -> core::result::Result<usize, Errno> {
    usize::try_from(count as i32).map_err(|_| Errno::EINVAL)
}
