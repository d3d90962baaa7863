//! Sockets of AF_INET.

use crate::error::{Errno, Error, Result};
use crate::net::inet;
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::report::{Report, Timer};
use coffer_abi_types::inet::{AF_INET, IPPROTO_TCP, IPPROTO_UDP};
use coffer_abi_types::netlink::{SOCK_DIAG_BY_FAMILY, inet_diag_msg, inet_diag_req_v2, inet_diag_sockid};
use coffer_netlink::Body;
use ostd::timer::now_ns;

/// Raw sockets of all protocols.
const IPPROTO_RAW: u32 = 255;
const MILLISECOND_NS: u64 = 1_000_000;

/// Lists them, or shows one.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    let (wanted, _) = request.message.split::<inet_diag_req_v2>()?;
    let namespace = request.namespace();
    let mut reports = match u32::from(wanted.sdiag_protocol) {
        IPPROTO_TCP => inet::tcp::report(namespace),
        IPPROTO_UDP => inet::udp::report(namespace),
        IPPROTO_RAW => inet::raw::report(namespace),
        _ => return Err(Error::with(Errno::ENOENT, "sockets of this protocol cannot be asked about")),
    };
    if request.wants_list() {
        let is_port = |wanted: [u8; 2], port: u16| wanted == [0; 2] || u16::from_be_bytes(wanted) == port;
        reports.retain(|report| {
            wanted.idiag_states & 1 << report.state as u8 != 0
                && is_port(wanted.id.idiag_sport, report.local.port())
                && is_port(wanted.id.idiag_dport, report.remote.port())
        });
        return request.list(list(SOCK_DIAG_BY_FAMILY, reports, write));
    }
    let id = &wanted.id;
    let found = reports.iter().find(|report| {
        id.idiag_sport == report.local.port().to_be_bytes()
            && id.idiag_dport == report.remote.port().to_be_bytes()
            && id.idiag_src[0] == report.local.ip().octets()
            && id.idiag_dst[0] == report.remote.ip().octets()
    });
    let found = found.ok_or(Errno::ENOENT)?;
    request.reply(SOCK_DIAG_BY_FAMILY, |body| write(found, body))
}

fn write(report: &Report, body: &mut Body<'_>) {
    let mut id = inet_diag_sockid {
        idiag_sport: report.local.port().to_be_bytes(),
        idiag_dport: report.remote.port().to_be_bytes(),
        idiag_if: report.link,
        // No cookie: there is no way to name a socket by one.
        idiag_cookie: [u32::MAX; 2],
        ..inet_diag_sockid::default()
    };
    id.idiag_src[0] = report.local.ip().octets();
    id.idiag_dst[0] = report.remote.ip().octets();
    let left_ns = report.timer_ns.saturating_sub(now_ns());
    let expires = if report.timer == Timer::None { 0 } else { left_ns / MILLISECOND_NS };
    body.push(&inet_diag_msg {
        idiag_family: AF_INET as u8,
        idiag_state: report.state as u8,
        idiag_timer: report.timer as u8,
        idiag_retrans: report.retransmits,
        id,
        idiag_expires: u32::try_from(expires).unwrap_or(u32::MAX),
        idiag_rqueue: report.receive_queue,
        idiag_wqueue: report.send_queue,
        idiag_uid: report.identity.uid,
        // Inode numbers of sockets start at 1 and count up: those of a machine's life fit.
        idiag_inode: report.identity.ino as u32,
    });
}
