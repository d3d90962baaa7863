//! What went wrong with datagrams that were sent: the queue behind MSG_ERRQUEUE (ip(7), IP_RECVERR), of UDP, ping and raw sockets.

use super::address;
use crate::error::{Errno, Result};
use crate::net::ip::protocol::IcmpError;
use crate::net::message::{ControlMessage, Incoming, Sink};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use coffer_abi_types::inet::{IP_RECVERR, IPPROTO_IP, SO_EE_ORIGIN_ICMP, sock_extended_err};
use coffer_abi_types::net::{MSG_ERRQUEUE, MSG_TRUNC};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use zerocopy::IntoBytes;

/// The most reports that are kept.
const REPORTS_MAX: usize = 64;

/// One report.
#[derive(Clone, Debug)]
pub struct ErrorReport {
    pub errno: Errno,
    /// SO_EE_ORIGIN_*.
    pub origin: u8,
    /// ICMP type and code.
    pub kind: u8,
    pub code: u8,
    /// The MTU, of EMSGSIZE.
    pub info: u32,
    /// Who says so.
    pub offender: Ipv4Addr,
    /// Where the datagram was sent.
    pub to: SocketAddrV4,
    /// What is known of its payload.
    pub bytes: Vec<u8>,
}

impl ErrorReport {
    /// That of an ICMP error about a datagram to `to`, of which `bytes` are known.
    pub fn of(error: &IcmpError<'_>, errno: Errno, to: SocketAddrV4, bytes: &[u8]) -> Self {
        Self {
            errno,
            origin: SO_EE_ORIGIN_ICMP,
            kind: error.kind,
            code: error.code,
            info: u32::from(error.mtu),
            offender: error.from,
            to,
            bytes: Vec::from(bytes),
        }
    }
}

/// Reports, oldest first.
#[derive(Debug)]
pub struct Errors {
    reports: SpinLock<VecDeque<ErrorReport>>,
    len: AtomicUsize,
}

impl Errors {
    /// None.
    pub const fn new() -> Self {
        Self { reports: SpinLock::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Adds one; too many are lost.
    pub fn push(&self, report: ErrorReport) {
        let mut reports = self.reports.lock();
        if reports.len() < REPORTS_MAX {
            reports.push_back(report);
            self.len.store(reports.len(), Ordering::SeqCst);
        }
    }

    /// Takes the oldest, as recvmsg(2) tells it. `pend` hears what the socket's pending error is then, if that changes: the next one that came by
    /// ICMP, or none after the last of these.
    ///
    /// # Errors
    /// EAGAIN without one, EFAULT.
    pub fn receive(
        &self,
        sink: &mut dyn Sink,
        flags: u32,
        pend: impl FnOnce(Option<Errno>),
    ) -> Result<Incoming> {
        let (report, next) = self.pop().ok_or(Errno::EAGAIN)?;
        if report.origin == SO_EE_ORIGIN_ICMP || next.is_some() {
            pend(next);
        }
        let (len, truncated) = copy_datagram(sink, flags, &report.bytes)?;
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

    /// The oldest, and the errno of the next if that came by ICMP.
    fn pop(&self) -> Option<(ErrorReport, Option<Errno>)> {
        let mut reports = self.reports.lock();
        let report = reports.pop_front()?;
        self.len.store(reports.len(), Ordering::SeqCst);
        let next = reports.front().filter(|next| next.origin == SO_EE_ORIGIN_ICMP).map(|next| next.errno);
        Some((report, next))
    }
}

/// Copies what fits of a datagram: how much that is (or would have been, if MSG_TRUNC asks), and MSG_TRUNC if it is not all.
///
/// # Errors
/// EFAULT.
pub fn copy_datagram(sink: &mut dyn Sink, flags: u32, bytes: &[u8]) -> Result<(usize, u32)> {
    let fits = bytes.len().min(sink.remaining());
    if fits > 0 && sink.write(&bytes[..fits])? < fits {
        return Err(Errno::EFAULT.into());
    }
    let len = if flags & MSG_TRUNC != 0 { bytes.len() } else { fits };
    Ok((len, if fits < bytes.len() { MSG_TRUNC } else { 0 }))
}

/// A control message of IPPROTO_IP.
pub fn of_ip(name: u32, bytes: Vec<u8>) -> ControlMessage {
    ControlMessage { level: IPPROTO_IP, kind: name.cast_signed(), bytes }
}

/// The errno for an ICMP error, and whether it is told without being asked for (RFC 1122, 4.1.3.3; icmp(7)).
pub fn meaning(error: &IcmpError<'_>) -> Option<(Errno, bool)> {
    Some(match (error.kind, error.code) {
        (3, 0 | 5 | 6 | 11) => (Errno::ENETUNREACH, false),
        (3, 1 | 12) => (Errno::EHOSTUNREACH, false),
        (3, 2) => (Errno::ENOPROTOOPT, true),
        (3, 3) => (Errno::ECONNREFUSED, true),
        (3, 4) => (Errno::EMSGSIZE, false),
        (3, 7) => (Errno::EHOSTDOWN, true),
        (3, 8) => (Errno::ENONET, true),
        (3, 9 | 10 | 13..=15) => (Errno::EHOSTUNREACH, true),
        (11, _) => (Errno::EHOSTUNREACH, false),
        (12, _) => (Errno::EPROTO, true),
        _ => return None,
    })
}
