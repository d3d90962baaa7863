//! select(2), pselect(2): <https://man7.org/linux/man-pages/man2/select.2.html>

use super::{mask, timeout};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, poll};
use crate::fs::fd_table::DESCRIPTORS_MAX;
use crate::syscall::UserPtr;
use alloc::vec::Vec;
use coffer_abi_types::event::{pollfd, sigset_argpack};
use coffer_abi_types::time::{timespec, timeval};

/// A set of descriptors: bit `n % 64` of word `n / 64` is descriptor `n`.
type FdSet = UserPtr<u64>;

/// What makes a descriptor count in each of the three sets.
const READ: IoEvents =
    IoEvents::IN.union(IoEvents::RDNORM).union(IoEvents::RDBAND).union(IoEvents::HUP).union(IoEvents::ERR);
const WRITE: IoEvents = IoEvents::OUT.union(IoEvents::WRNORM).union(IoEvents::WRBAND).union(IoEvents::ERR);
const EXCEPT: IoEvents = IoEvents::PRI;
const KINDS: [IoEvents; 3] = [READ, WRITE, EXCEPT];

/// select(2).
pub fn sys_select(
    len: i32,
    read: FdSet,
    write: FdSet,
    except: FdSet,
    limit: UserPtr<timeval>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_timeval(limit)?;
    let result = wait(len, [read, write, except], deadline_ns, context);
    if let Some(deadline_ns) = deadline_ns {
        let _ = limit.write_if_some(&timeval::from_ns(timeout::left_ns(deadline_ns)));
    }
    result
}

/// pselect(2).
pub fn sys_pselect6(
    len: i32,
    read: FdSet,
    write: FdSet,
    except: FdSet,
    limit: UserPtr<timespec>,
    signals: UserPtr<sigset_argpack>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let signals = match signals.non_null() {
        Some(signals) => signals.read()?,
        None => sigset_argpack::default(),
    };
    let deadline_ns = timeout::from_timespec(limit)?;
    let mask = UserPtr::new(signals.ss as usize);
    let result = mask::with(mask, signals.ss_len as usize, context, |context| {
        wait(len, [read, write, except], deadline_ns, context)
    });
    timeout::write_left(limit, deadline_ns);
    result
}

fn wait(len: i32, sets: [FdSet; 3], deadline_ns: Option<u64>, context: &mut Context<'_>) -> Result<usize> {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?.min(DESCRIPTORS_MAX) as usize;
    let words = len.div_ceil(64);
    let mut bits = [const { Vec::new() }; 3];
    for (bits, set) in bits.iter_mut().zip(sets) {
        if let Some(set) = set.non_null() {
            *bits = set.read_array(words)?;
        }
    }
    let mut items = items(len, &bits)?;
    // A bad descriptor is an event, so it ends the wait at once.
    poll::poll(&context.process.fds(), &mut items, deadline_ns)?;

    bits.iter_mut().for_each(|bits| bits.fill(0));
    let mut ready = 0;
    for item in items.iter().filter(|item| item.revents != 0) {
        let found = IoEvents::from_bits_retain(u32::from(item.revents));
        if found.contains(IoEvents::NVAL) {
            return Err(Errno::EBADF.into());
        }
        let asked = IoEvents::from_bits_retain(u32::from(item.events));
        for (bits, kind) in bits.iter_mut().zip(KINDS) {
            if found.intersects(kind) && asked.contains(mark(kind)) {
                bits[item.fd as usize / 64] |= 1 << (item.fd % 64);
                ready += 1;
            }
        }
    }
    for (bits, set) in bits.iter().zip(sets) {
        set.write_array(bits)?;
    }
    Ok(ready)
}

/// The event that stands for having been in a set: asked for in that set only.
fn mark(kind: IoEvents) -> IoEvents {
    match kind {
        READ => IoEvents::IN,
        WRITE => IoEvents::OUT,
        _ => IoEvents::PRI,
    }
}

/// One item for each descriptor that is in a set.
fn items(len: usize, bits: &[Vec<u64>; 3]) -> Result<Vec<pollfd>> {
    let word = |set: usize, at: usize| bits[set].get(at).copied().unwrap_or(0);
    let mut items = Vec::new();
    for at in 0..len.div_ceil(64) {
        let words = [word(0, at), word(1, at), word(2, at)];
        let mut left = words[0] | words[1] | words[2];
        items.try_reserve(left.count_ones() as usize).map_err(|_| Error::new(Errno::ENOMEM))?;
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            if at * 64 + bit >= len {
                break;
            }
            let mut events = IoEvents::empty();
            for (word, kind) in words.into_iter().zip(KINDS) {
                if word & 1 << bit != 0 {
                    events |= kind;
                }
            }
            items.push(pollfd { fd: (at * 64 + bit) as i32, events: events.bits() as u16, revents: 0 });
        }
    }
    Ok(items)
}
