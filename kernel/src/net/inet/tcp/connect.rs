//! bind(2) and connect(2).

use super::endpoint::{Endpoint, Phase, Progress, Way};
use super::tables::Tuple;
use super::{listener, local, remote};
use crate::error::{Errno, Error, Result};
use crate::net::inet::port::Standing;
use crate::net::inet::{address, bind};
use crate::net::ip::{Route, RouteKind};
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use coffer_abi_types::net::AF_UNSPEC;
use core::net::SocketAddrV4;
use smoltcp::wire::IpProtocol;

/// How often another port is tried when somebody else was faster.
const TRIES: usize = 8;

/// bind(2).
pub fn bind(endpoint: &Endpoint, address: &[u8], thread: &Thread) -> Result<()> {
    let address = address::parse_for_bind(address)?;
    let ip = endpoint.ip.lock().clone();
    bind::check(&endpoint.ns, &ip, address, thread.process())?;
    let _control = endpoint.control.lock();
    let is_bound = endpoint.inner.lock().binding.is_some();
    if is_bound || endpoint.phase() != Phase::Closed {
        return Err(Errno::EINVAL.into());
    }
    let is_late = address.port() == 0 && ip.binds_without_port;
    let binding = if is_late {
        None
    } else {
        let claim = bind::claim(&endpoint.options, ip.link, *address.ip(), Standing::Bound);
        Some(endpoint.ns.inet.tcp.claim(&endpoint.ns, address.port(), claim)?)
    };
    let mut inner = endpoint.inner.lock();
    inner.local = SocketAddrV4::new(*address.ip(), binding.as_ref().map_or(0, |binding| binding.port()));
    inner.has_fixed_address = !address.ip().is_unspecified();
    // A port of the kernel's choice is given up with the connection, as on Linux.
    inner.has_fixed_port = address.port() != 0;
    inner.binding = binding;
    Ok(())
}

/// connect(2).
pub fn connect(endpoint: &Arc<Endpoint>, address: &[u8], is_nonblocking: bool) -> Result<()> {
    if address::family(address)? == AF_UNSPEC {
        disconnect(endpoint);
        return Ok(());
    }
    let is_new = {
        let _control = endpoint.control.lock();
        let progress = endpoint.inner.lock().progress;
        match progress {
            Progress::Connected => return Err(Errno::EISCONN.into()),
            Progress::Connecting => false,
            Progress::Unconnected if endpoint.phase() != Phase::Closed => return Err(Errno::EISCONN.into()),
            Progress::Unconnected => {
                start(endpoint, address::parse(address)?)?;
                true
            }
        }
    };
    let unfinished = if is_new { Errno::EINPROGRESS } else { Errno::EALREADY };
    // As on Linux, where the answer never comes before the call returns.
    if is_nonblocking && (is_new || endpoint.phase() == Phase::Connecting) {
        return Err(unfinished.into());
    }
    let deadline_ns = endpoint.options.send_deadline_ns();
    let is_decided = || (endpoint.phase() != Phase::Connecting).then_some(());
    wait::wait_until(&endpoint.writable, deadline_ns, is_decided).map_err(|error| match error.errno() {
        Errno::ETIMEDOUT => Error::new(unfinished),
        Errno::ERESTARTSYS if deadline_ns.is_some() => Errno::EINTR.into(),
        _ => error,
    })?;
    conclude(endpoint)
}

/// Tells how it ended.
fn conclude(endpoint: &Arc<Endpoint>) -> Result<()> {
    let _control = endpoint.control.lock();
    if endpoint.phase() == Phase::Connected || endpoint.has_fin() {
        endpoint.inner.lock().progress = Progress::Connected;
        return Ok(());
    }
    let errno = endpoint.take_error().unwrap_or(Errno::ECONNABORTED);
    endpoint.reset_to_fresh();
    Err(errno.into())
}

/// Gives the connection its addresses and sets out.
fn start(endpoint: &Arc<Endpoint>, to: SocketAddrV4) -> Result<()> {
    let (bound, fixed_port) = {
        let inner = endpoint.inner.lock();
        (*inner.local.ip(), inner.binding.as_ref().map(|binding| binding.port()))
    };
    let link = endpoint.ip.lock().link;
    let route = bind::route(&endpoint.ns, *to.ip(), bound, link)?;
    if matches!(route.kind, RouteKind::Broadcast | RouteKind::Multicast) {
        return Err(Errno::ENETUNREACH.into());
    }
    let to = SocketAddrV4::new(route.destination, to.port());
    endpoint.take_error();
    let tuple = match fixed_port {
        Some(port) => {
            let tuple = (SocketAddrV4::new(route.source, port), to);
            if !endpoint.ns.inet.tcp.add_connection(tuple, endpoint) {
                return Err(Errno::EADDRNOTAVAIL.into());
            }
            tuple
        }
        None => choose_port(endpoint, &route, to, link)?,
    };
    let mut inner = endpoint.inner.lock();
    inner.local = tuple.0;
    inner.peer = tuple.1;
    inner.progress = Progress::Connecting;
    drop(inner);
    endpoint.set_phase(Phase::Connecting);
    let is_direct = route.is_local() && !endpoint.ns.translates_local(IpProtocol::Tcp, to);
    if is_direct {
        local::connect(endpoint, to);
        return Ok(());
    }
    let started = remote::connect(endpoint, tuple, route);
    if started.is_err() {
        endpoint.finish(None);
        endpoint.reset_to_fresh();
    }
    started
}

/// Takes a port for a connection to `to`, and makes the connection known.
fn choose_port(endpoint: &Arc<Endpoint>, route: &Route, to: SocketAddrV4, link: u32) -> Result<Tuple> {
    let tables = &endpoint.ns.inet.tcp;
    let claim = bind::claim(&endpoint.options, link, route.source, Standing::Connected);
    let range = bind::ephemeral_ports(&endpoint.ns);
    let tuple = |port| (SocketAddrV4::new(route.source, port), to);
    for _ in 0..TRIES {
        let is_unique = |port| !tables.has_connection(&tuple(port));
        let binding = tables.ports.claim_for_connection(&range, claim, is_unique)?;
        let tuple = tuple(binding.port());
        if tables.add_connection(tuple, endpoint) {
            endpoint.inner.lock().binding = Some(binding);
            return Ok(tuple);
        }
    }
    Err(Errno::EADDRNOTAVAIL.into())
}

/// connect(2) to AF_UNSPEC: whatever it was, it is a fresh socket again.
pub fn disconnect(endpoint: &Arc<Endpoint>) {
    let _control = endpoint.control.lock();
    abandon(endpoint);
}

/// As [`disconnect`], with the control lock held.
pub fn abandon(endpoint: &Arc<Endpoint>) {
    let way = endpoint.inner.lock().way.clone();
    match way {
        Way::None => {}
        Way::Listening(_) => listener::stop(endpoint),
        Way::Waiting(listener) => {
            listener.forget(endpoint);
            endpoint.finish(Some(Errno::ECONNRESET));
        }
        Way::Local(peer) => {
            local::reset(&peer);
            endpoint.finish(Some(Errno::ECONNRESET));
        }
        Way::Remote(remote) => {
            endpoint.set_error(Errno::ECONNRESET);
            remote.reset();
        }
    }
    endpoint.reset_to_fresh();
}
