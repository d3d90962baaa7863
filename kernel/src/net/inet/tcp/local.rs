//! Connections between two sockets of one network namespace: made at once, and without segments.

use super::endpoint::{Endpoint, Phase, Way, has_much_room};
use super::listener::{Admission, Listener, Origin};
use super::socket::TcpSocket;
use crate::error::Errno;
use crate::net::Shutdown;
use crate::net::inet::port::{Claim, Standing};
use alloc::sync::Arc;
use core::net::SocketAddrV4;
use core::sync::atomic::Ordering;

/// Connects `client`, whose addresses are set and known, to whoever listens at `to`; what becomes of it, its phase tells.
pub fn connect(client: &Arc<Endpoint>, to: SocketAddrV4) {
    let ns = &client.ns;
    let from = client.inner.lock().local;
    let found = ns.inet.tcp.find_listener(to, ns.loopback().index(), from);
    let listener = found.as_ref().and_then(|endpoint| match &endpoint.inner.lock().way {
        Way::Listening(listener) => Some(listener.clone()),
        _ => None,
    });
    let (Some(endpoint), Some(listener)) = (found, listener) else {
        client.finish(Some(Errno::ECONNREFUSED));
        return;
    };
    match listener.admit(client) {
        Admission::Granted => join(&endpoint, &listener, client, to),
        Admission::Later => {}
        Admission::Refused => client.finish(Some(Errno::ECONNREFUSED)),
    }
}

/// Makes the other end of the connection, in the place that `listener` has kept for it.
pub fn join(listening: &Endpoint, listener: &Arc<Listener>, client: &Arc<Endpoint>, to: SocketAddrV4) {
    let from = client.inner.lock().local;
    let server = TcpSocket::accepted(Endpoint::accepted(listening, to, from));
    let other = server.endpoint();
    listening.ns.inet.tcp.add_connection((to, from), other);
    other.inner.lock().way = Way::Local(client.clone());
    other.set_phase(Phase::Connected);
    let mut inner = client.inner.lock();
    let is_wanted = client.phase() == Phase::Connecting && !inner.is_gone;
    if is_wanted {
        inner.way = Way::Local(other.clone());
        client.set_phase(Phase::Connected);
    }
    drop(inner);
    if !is_wanted {
        // It went while we made it: nobody is to hear of it.
        other.finish(None);
    }
    // One that comes back is reset, as it is dropped.
    let result = listener.fill(Origin::Local, is_wanted.then_some(server));
    if is_wanted {
        client.announce_change();
    }
    if result.is_ok() && is_wanted {
        listening.announce_arrival();
    }
}

/// `from` will send `to` no more.
pub fn end_direction(from: &Endpoint, to: &Endpoint) {
    from.inner.lock().is_first_to_end = !from.has_fin();
    to.note_fin();
    if from.has_fin() {
        // That was the second direction: nothing is left of the connection but a port that waits.
        for endpoint in [from, to] {
            leave_waiting(endpoint);
            endpoint.finish(None);
        }
    } else {
        to.announce_change();
    }
}

/// `from` has gone without taking leave: whatever was on its way to it is lost.
pub fn reset(to: &Endpoint) {
    if to.phase() == Phase::Closed {
        return;
    }
    to.finish(Some(if to.has_fin() { Errno::EPIPE } else { Errno::ECONNRESET }));
}

/// The socket of `endpoint`, which was connected to `peer`, is gone.
pub fn close(endpoint: &Endpoint, peer: &Endpoint, is_abort: bool) {
    let had_unread = endpoint.inbox.close();
    if endpoint.phase() == Phase::Closed {
        return;
    }
    if had_unread || is_abort {
        reset(peer);
        endpoint.finish(None);
        return;
    }
    if endpoint.shut(Shutdown::Both) {
        end_direction(endpoint, peer);
    }
    leave_waiting(endpoint);
}

/// Keeps the port for a while, if this end was the first to end its direction.
fn leave_waiting(endpoint: &Endpoint) {
    let mut inner = endpoint.inner.lock();
    if !core::mem::take(&mut inner.is_first_to_end) {
        return;
    }
    let tuple = (inner.local, inner.peer);
    let share = inner
        .binding
        .as_ref()
        .map(|binding| binding.share(Claim { standing: Standing::Waiting, ..*binding.claim() }));
    drop(inner);
    if let Some(share) = share {
        endpoint.ns.inet.tcp.wait(tuple, share);
    }
}

/// Tells the writer at the other end that there is room, if it waits for it and it is worth it.
pub fn announce_room(reader: &Endpoint, writer: &Endpoint) {
    if writer.is_starved.load(Ordering::SeqCst)
        && has_much_room(reader.inbox.unread(), writer.capacity_to(reader))
    {
        writer.announce_room();
    }
}
