//! recv(2).

use super::endpoint::{Endpoint, Phase, Way};
use super::local;
use crate::error::{Errno, Result};
use crate::net::message::{Incoming, ReceiveHow, Sink};
use crate::net::socket::interrupted;
use crate::thread::wait;
use alloc::sync::Arc;
use coffer_abi_types::net::{MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL};

/// The most bytes that are looked at and left at a time.
const PEEK_STEP: usize = 64 * 1024;
/// The most bytes that MSG_PEEK waits for: they fit into any connection.
const PEEK_TARGET: usize = 4096;
/// The most bytes that are waited for in one go; any connection holds as many.
const WAKE_AT: usize = 2048;

/// Receives what there is, waiting for it if it may.
pub fn receive(endpoint: &Arc<Endpoint>, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
    if how.flags & MSG_ERRQUEUE != 0 {
        return Err(Errno::EAGAIN.into());
    }
    if endpoint.phase() == Phase::Listening {
        return Err(Errno::ENOTCONN.into());
    }
    if how.flags & MSG_OOB != 0 {
        return Err(Errno::EINVAL.into());
    }
    let want = sink.remaining();
    let is_all = how.flags & MSG_WAITALL != 0;
    let low = endpoint.options.receive_low().min(endpoint.options.receive_buffer() / 2);
    let target = if is_all { want } else { low.min(want) }.max(1);
    // What is only looked at stays in the way of what is to come.
    let target = if how.flags & MSG_PEEK != 0 { target.min(PEEK_TARGET) } else { target };
    let deadline_ns = endpoint.options.receive_deadline_ns();
    let mut done = 0;
    loop {
        // Looked at before the queue: what came before the end is in the queue then.
        let is_over = is_over(endpoint);
        match collect(endpoint, sink, how.flags, done, want) {
            Ok(more) => done += more,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if done >= target.min(want) && (done > 0 || endpoint.unread() > 0) || done > 0 && is_over {
            break;
        }
        if done == 0 && is_over {
            return end(endpoint);
        }
        if !how.may_wait() {
            if done > 0 {
                break;
            }
            return Err(Errno::EAGAIN.into());
        }
        let needed = if how.flags & MSG_PEEK != 0 { target } else { (target - done).clamp(1, WAKE_AT) };
        let is_ready = || (endpoint.unread() >= needed || self::is_over(endpoint)).then_some(());
        let waited = wait::wait_until(&endpoint.readable, deadline_ns, is_ready);
        // Whatever has come by now is better than nothing.
        if let Err(error) = waited {
            let interrupted = interrupted(error, deadline_ns);
            match collect(endpoint, sink, how.flags, done, want) {
                Ok(more) if done + more > 0 => done += more,
                _ if done > 0 => {}
                _ => return Err(interrupted),
            }
            break;
        }
    }
    Ok(Incoming { len: done, ..Incoming::default() })
}

/// Whether there is no sense in waiting for more.
fn is_over(endpoint: &Endpoint) -> bool {
    endpoint.is_read_shut() || endpoint.has_error() || endpoint.phase() == Phase::Closed
}

/// What is told when nothing is left to read: the end that the peer sent comes before an error, as on Linux.
fn end(endpoint: &Endpoint) -> Result<Incoming> {
    if !endpoint.has_fin() {
        if let Some(errno) = endpoint.take_error() {
            return Err(errno.into());
        }
        if !endpoint.is_read_shut() {
            return Err(Errno::ENOTCONN.into());
        }
    }
    Ok(Incoming::default())
}

/// Moves (or, to peek, copies) what is there to the reader, up to `want` bytes with the `done` that it has.
fn collect(endpoint: &Endpoint, sink: &mut dyn Sink, flags: u32, done: usize, want: usize) -> Result<usize> {
    let _receiving = endpoint.receiving.lock();
    let remote = endpoint.remote();
    if flags & MSG_PEEK != 0 {
        if let Some(remote) = &remote {
            let more = want.min(PEEK_STEP).saturating_sub(endpoint.inbox.unread());
            remote.take(more, &endpoint.inbox);
        }
        return peek(endpoint, sink, done, want);
    }
    let mut total = 0;
    let mut result = Ok(());
    let next = |want: usize| {
        endpoint.inbox.take().or_else(|| {
            remote.as_ref()?.take(want, &endpoint.inbox);
            endpoint.inbox.take()
        })
    };
    while done + total < want
        && let Some(chunk) = next((want - done - total).min(PEEK_STEP))
    {
        let len = chunk.left().len().min(want - done - total);
        // Without a buffer: the bytes are thrown away (tcp(7), MSG_TRUNC).
        let read = if flags & MSG_TRUNC != 0 { Ok(len) } else { sink.write(&chunk.left()[..len]) };
        let count = *read.as_ref().unwrap_or(&0);
        endpoint.inbox.put_back(chunk, count);
        total += count;
        if count < len {
            result = read.map(|_| ());
            break;
        }
    }
    if total > 0 {
        announce_room(endpoint);
        return Ok(total);
    }
    result.map(|()| 0)
}

fn peek(endpoint: &Endpoint, sink: &mut dyn Sink, done: usize, want: usize) -> Result<usize> {
    let mut total = 0;
    while done + total < want {
        let bytes = endpoint.inbox.peek(done + total, PEEK_STEP.min(want - done - total))?;
        if bytes.is_empty() {
            break;
        }
        let written = sink.write(&bytes)?;
        total += written;
        if written < bytes.len() {
            break;
        }
    }
    Ok(total)
}

fn announce_room(endpoint: &Endpoint) {
    let way = endpoint.inner.lock().way.clone();
    match way {
        Way::Local(writer) => local::announce_room(endpoint, &writer),
        Way::Remote(remote) => remote.show_window(),
        _ => {}
    }
}
