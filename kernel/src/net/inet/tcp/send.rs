//! send(2).

use super::endpoint::{Endpoint, Phase, Way};
use super::local;
use super::remote::Remote;
use crate::error::{Errno, Error, Result};
use crate::net::message::{Outgoing, Source};
use crate::net::socket::interrupted;
use crate::thread::wait;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{MSG_FASTOPEN, MSG_MORE, MSG_OOB};
use core::sync::atomic::Ordering;

/// The most bytes that are taken from user space at a time.
const CHUNK: usize = 32 * 1024;

/// Sends what there is, waiting for room if it may. The address of a message is not looked at, as the connection has one.
pub fn send(endpoint: &Arc<Endpoint>, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize> {
    // COMPAT: there is no urgent data (RFC 6093 advises against it).
    if message.flags & (MSG_OOB | MSG_FASTOPEN) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let deadline_ns = endpoint.options.send_deadline_ns();
    let may_wait = message.may_wait();
    wait_for_connection(endpoint, may_wait, deadline_ns)?;
    let mut total = 0;
    loop {
        let sent = send_while_room(endpoint, source, message.flags & MSG_MORE != 0);
        total += *sent.as_ref().unwrap_or(&0);
        match sent {
            Err(_) if total > 0 => return Ok(total),
            Err(error) => return Err(error),
            Ok(_) if source.remaining() == 0 => return Ok(total),
            Ok(_) => {}
        }
        let has_changed = || (!must_wait(endpoint)).then_some(());
        if has_changed().is_some() {
            continue;
        }
        let waited = if may_wait {
            wait::wait_until(&endpoint.writable, deadline_ns, has_changed)
                .map_err(|error| interrupted(error, deadline_ns))
        } else {
            Err(Errno::EAGAIN.into())
        };
        match waited {
            Err(_) if total > 0 => return Ok(total),
            waited => waited?,
        }
    }
}

fn wait_for_connection(endpoint: &Endpoint, may_wait: bool, deadline_ns: Option<u64>) -> Result<()> {
    if endpoint.phase() == Phase::Connecting {
        if !may_wait {
            return Err(Errno::EAGAIN.into());
        }
        let is_decided = || (endpoint.phase() != Phase::Connecting).then_some(());
        wait::wait_until(&endpoint.writable, deadline_ns, is_decided)
            .map_err(|error| interrupted(error, deadline_ns))?;
    }
    if endpoint.phase() == Phase::Connected && !endpoint.is_write_shut() {
        return Ok(());
    }
    Err(broken(endpoint))
}

/// The error to report, or EPIPE.
fn broken(endpoint: &Endpoint) -> Error {
    endpoint.take_error().unwrap_or(Errno::EPIPE).into()
}

/// Whether there is no room and nothing that ends the waiting for it. Who finds that is told when it changes.
fn must_wait(endpoint: &Endpoint) -> bool {
    let is_stuck = || {
        !endpoint.has_error()
            && !endpoint.is_write_shut()
            && match &endpoint.inner.lock().way {
                Way::Local(reader) => reader.inbox.unread() >= endpoint.capacity_to(reader),
                Way::Remote(_) => endpoint.remote_room.load(Ordering::SeqCst) == 0,
                _ => false,
            }
    };
    if !is_stuck() {
        return false;
    }
    endpoint.is_starved.store(true, Ordering::SeqCst);
    is_stuck()
}

/// Sends until nothing is left or there is no room.
fn send_while_room(endpoint: &Arc<Endpoint>, source: &mut dyn Source, has_more: bool) -> Result<usize> {
    let _sending = endpoint.sending.lock();
    if endpoint.has_error() || endpoint.is_write_shut() {
        return Err(broken(endpoint));
    }
    let way = endpoint.inner.lock().way.clone();
    match way {
        Way::Local(reader) => send_to(endpoint, &reader, source),
        Way::Remote(remote) => {
            let holds_back = has_more || endpoint.tcp.lock().is_corked;
            send_by_links(endpoint, &remote, source, holds_back)
        }
        _ => Err(broken(endpoint)),
    }
}

fn send_to(endpoint: &Endpoint, reader: &Endpoint, source: &mut dyn Source) -> Result<usize> {
    let capacity = endpoint.capacity_to(reader);
    let mut total = 0;
    loop {
        let room = capacity.saturating_sub(reader.inbox.unread());
        let len = source.remaining().min(room).min(CHUNK);
        if len == 0 {
            return Ok(total);
        }
        let taken = reader.inbox.buffer(len).and_then(|mut bytes| {
            let taken = source.append_to(&mut bytes, len)?;
            Ok((bytes, taken))
        });
        let (bytes, taken) = match taken {
            Ok(taken) => taken,
            Err(_) if total > 0 => return Ok(total),
            Err(error) => return Err(error),
        };
        total += taken;
        if !reader.inbox.push(bytes) {
            // Nobody is there any more, which a peer says with a reset: bytes that it crosses are lost without a word.
            local::reset(endpoint);
            reader.finish(None);
            return Ok(total);
        }
        reader.announce_arrival();
        if taken < len {
            return Ok(total);
        }
    }
}

fn send_by_links(
    endpoint: &Endpoint,
    remote: &Remote,
    source: &mut dyn Source,
    holds_back: bool,
) -> Result<usize> {
    let mut total = 0;
    loop {
        let room = endpoint.remote_room.load(Ordering::SeqCst);
        let len = source.remaining().min(room).min(CHUNK);
        if len == 0 {
            return Ok(total);
        }
        let mut bytes = Vec::new();
        let taken = match bytes.try_reserve_exact(len) {
            Ok(()) => source.append_to(&mut bytes, len),
            Err(_) => Err(Errno::ENOBUFS.into()),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(_) if total > 0 => return Ok(total),
            Err(error) => return Err(error),
        };
        let written = remote.write(&bytes, holds_back || source.remaining() > 0);
        total += written;
        // The connection may have ended meanwhile: the next call tells.
        if written < taken || taken < len {
            return if total > 0 { Ok(total) } else { Err(broken(endpoint)) };
        }
    }
}
