//! recv(2).

use super::endpoint::{Datagram, Endpoint};
use crate::error::{Errno, Result};
use crate::net::inet::address;
use crate::net::inet::errors::{copy_datagram, of_ip};
use crate::net::message::{ControlMessage, Incoming, ReceiveHow, Sink};
use crate::net::socket::interrupted;
use crate::thread::wait;
use crate::time::clock;
use alloc::vec::Vec;
use coffer_abi_types::inet::{IP_PKTINFO, IP_TOS, IP_TTL, in_pktinfo};
use coffer_abi_types::net::{MSG_ERRQUEUE, MSG_PEEK, SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPNS, SOL_SOCKET};
use coffer_abi_types::time::{timespec, timeval};
use core::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// Receives one datagram, waiting for it if it may.
pub fn receive(endpoint: &Endpoint, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
    if how.flags & MSG_ERRQUEUE != 0 {
        return endpoint.errors.receive(sink, how.flags, |error| match error {
            Some(errno) => endpoint.set_error(errno),
            None => drop(endpoint.take_error()),
        });
    }
    let deadline_ns = endpoint.options.receive_deadline_ns();
    loop {
        if let Some(errno) = endpoint.take_error() {
            return Err(errno.into());
        }
        let is_over = endpoint.is_read_shut();
        if let Some(datagram) = endpoint.next(how.flags & MSG_PEEK != 0) {
            return tell(endpoint, sink, how.flags, datagram);
        }
        if is_over {
            return Ok(Incoming::default());
        }
        if !how.may_wait() {
            return Err(Errno::EAGAIN.into());
        }
        let is_ready =
            || (!endpoint.is_empty() || endpoint.has_error() || endpoint.is_read_shut()).then_some(());
        wait::wait_until(&endpoint.readable, deadline_ns, is_ready)
            .map_err(|error| interrupted(error, deadline_ns))?;
    }
}

fn tell(endpoint: &Endpoint, sink: &mut dyn Sink, flags: u32, datagram: Datagram) -> Result<Incoming> {
    let (len, truncated) = copy_datagram(sink, flags, &datagram.bytes)?;
    Ok(Incoming {
        len,
        flags: truncated,
        from: Some(address::to_bytes(datagram.from)),
        control: control(endpoint, &datagram),
        ..Incoming::default()
    })
}

fn control(endpoint: &Endpoint, datagram: &Datagram) -> Vec<ControlMessage> {
    let mut messages = Vec::new();
    let wall_ns = clock::offset_ns().saturating_add(datagram.time_ns);
    let mut of_socket = |name: u32, bytes: &[u8]| {
        messages.push(ControlMessage {
            level: SOL_SOCKET,
            kind: name.cast_signed(),
            bytes: Vec::from(bytes),
        });
    };
    if endpoint.options.is_on(SO_TIMESTAMP) {
        of_socket(SO_TIMESTAMP, timeval::from_ns(wall_ns).as_bytes());
    }
    if endpoint.options.is_on(SO_TIMESTAMPNS) {
        of_socket(SO_TIMESTAMPNS, timespec::from_ns(wall_ns).as_bytes());
    }
    let drops = endpoint.drops.load(Ordering::Relaxed);
    if drops > 0 && endpoint.options.is_on(SO_RXQ_OVFL) {
        of_socket(SO_RXQ_OVFL, drops.as_bytes());
    }
    let ip = endpoint.ip.lock();
    if ip.wants_packet_info {
        let is_everybodys = super::tables::is_for_all(datagram.to);
        let info = in_pktinfo {
            ipi_ifindex: datagram.link,
            ipi_spec_dst: if is_everybodys { [0; 4] } else { datagram.to.octets() },
            ipi_addr: datagram.to.octets(),
        };
        messages.push(of_ip(IP_PKTINFO, Vec::from(info.as_bytes())));
    }
    if ip.wants_ttl {
        messages.push(of_ip(IP_TTL, Vec::from(i32::from(datagram.ttl).as_bytes())));
    }
    if ip.wants_tos {
        messages.push(of_ip(IP_TOS, alloc::vec![datagram.tos]));
    }
    messages
}
