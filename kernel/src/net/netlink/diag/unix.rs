//! Sockets of AF_UNIX.

use crate::error::{Errno, Result};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::report::State;
use crate::net::unix::{self, Report};
use coffer_abi_types::net::AF_UNIX;
use coffer_abi_types::netlink::{
    SOCK_DIAG_BY_FAMILY, UDIAG_SHOW_NAME, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN, UNIX_DIAG_NAME, UNIX_DIAG_PEER,
    UNIX_DIAG_RQLEN, unix_diag_msg, unix_diag_req, unix_diag_rqlen,
};
use coffer_netlink::Body;

/// Lists them, or shows one.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    let (wanted, _) = request.message.split::<unix_diag_req>()?;
    let mut reports = unix::report(request.namespace().id());
    let show = wanted.udiag_show;
    if request.wants_list() {
        reports.retain(|report| wanted.udiag_states & 1 << state(report) as u8 != 0);
        return request
            .list(list(SOCK_DIAG_BY_FAMILY, reports, move |report, body| write(report, show, body)));
    }
    let is_it = |report: &&Report| report.ino as u32 == wanted.udiag_ino && report.ino != 0;
    let found = reports.iter().find(is_it).ok_or(Errno::ENOENT)?;
    request.reply(SOCK_DIAG_BY_FAMILY, |body| write(found, show, body))
}

fn state(report: &Report) -> State {
    match (report.is_listening, report.is_connected) {
        (true, _) => State::Listen,
        (false, true) => State::Established,
        (false, false) => State::Close,
    }
}

fn write(report: &Report, show: u32, body: &mut Body<'_>) {
    body.push(&unix_diag_msg {
        udiag_family: AF_UNIX as u8,
        udiag_type: report.kind as u8,
        udiag_state: state(report) as u8,
        pad: 0,
        // Inode numbers of sockets start at 1 and count up: those of a machine's life fit.
        udiag_ino: report.ino as u32,
        udiag_cookie: [u32::MAX; 2],
    });
    if show & UDIAG_SHOW_NAME != 0 && !report.name.is_empty() {
        body.attribute(UNIX_DIAG_NAME, &report.name[..]);
    }
    if show & UDIAG_SHOW_PEER != 0 && report.peer_ino != 0 {
        body.attribute(UNIX_DIAG_PEER, &(report.peer_ino as u32));
    }
    if show & UDIAG_SHOW_RQLEN != 0 {
        let udiag_rqueue = u32::try_from(report.unread).unwrap_or(u32::MAX);
        body.attribute(UNIX_DIAG_RQLEN, &unix_diag_rqlen { udiag_rqueue, udiag_wqueue: 0 });
    }
}
