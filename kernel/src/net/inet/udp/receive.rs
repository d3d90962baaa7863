//! recv(2).

use super::endpoint::{Datagram, Endpoint};
use super::errors::ErrorReport;
use crate::error::{Errno, Result};
use crate::net::inet::address;
use crate::net::message::{ControlMessage, Incoming, ReceiveHow, Sink};
use crate::net::socket::interrupted;
use crate::thread::wait;
use crate::time::clock;
use alloc::vec::Vec;
use coffer_abi_types::inet::{
    IP_PKTINFO, IP_RECVERR, IP_TOS, IP_TTL, IPPROTO_IP, in_pktinfo, sock_extended_err,
};
use coffer_abi_types::net::{
    MSG_ERRQUEUE, MSG_PEEK, MSG_TRUNC, SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPNS, SOL_SOCKET,
};
use coffer_abi_types::time::{timespec, timeval};
use core::net::SocketAddrV4;
use core::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// Receives one datagram, waiting for it if it may.
pub fn receive(endpoint: &Endpoint, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
    if how.flags & MSG_ERRQUEUE != 0 {
        let report = endpoint.errors.pop().ok_or(Errno::EAGAIN)?;
        return tell_error(sink, how.flags, report);
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
    let (len, truncated) = copy(sink, flags, &datagram.bytes)?;
    Ok(Incoming {
        len,
        flags: truncated,
        from: Some(address::to_bytes(datagram.from)),
        control: control(endpoint, &datagram),
        ..Incoming::default()
    })
}

/// What recvmsg(2) tells of a datagram that could not be sent.
fn tell_error(sink: &mut dyn Sink, flags: u32, report: ErrorReport) -> Result<Incoming> {
    let (len, truncated) = copy(sink, flags, &report.bytes)?;
    let error = sock_extended_err {
        ee_errno: (report.errno as i32).cast_unsigned(),
        ee_origin: report.origin,
        ee_type: report.kind,
        ee_code: report.code,
        ee_info: report.info,
        ..sock_extended_err::default()
    };
    let mut bytes = Vec::from(error.as_bytes());
    bytes.extend_from_slice(address::to_sockaddr(SocketAddrV4::new(report.offender, 0)).as_bytes());
    Ok(Incoming {
        len,
        flags: truncated | MSG_ERRQUEUE,
        from: Some(address::to_bytes(report.to)),
        control: alloc::vec![of_ip(IP_RECVERR, bytes)],
        ..Incoming::default()
    })
}

/// Copies what fits: how much that is (or would have been, if MSG_TRUNC asks), and MSG_TRUNC if it is not all.
fn copy(sink: &mut dyn Sink, flags: u32, bytes: &[u8]) -> Result<(usize, u32)> {
    let fits = bytes.len().min(sink.remaining());
    if fits > 0 && sink.write(&bytes[..fits])? < fits {
        return Err(Errno::EFAULT.into());
    }
    let len = if flags & MSG_TRUNC != 0 { bytes.len() } else { fits };
    Ok((len, if fits < bytes.len() { MSG_TRUNC } else { 0 }))
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

fn of_ip(name: u32, bytes: Vec<u8>) -> ControlMessage {
    ControlMessage { level: IPPROTO_IP, kind: name.cast_signed(), bytes }
}
