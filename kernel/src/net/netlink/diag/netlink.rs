//! Sockets of AF_NETLINK.

use crate::error::{Errno, Result};
use crate::net::Socket;
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::netlink::{AF_NETLINK, NetlinkSocket};
use alloc::sync::Arc;
use coffer_abi_types::netlink::{SOCK_DIAG_BY_FAMILY, netlink_diag_msg, netlink_diag_req};

/// All protocols (NDIAG_PROTO_ALL).
const ALL: u8 = u8::MAX;

/// Lists them.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    if !request.wants_list() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let (wanted, _) = request.message.split::<netlink_diag_req>()?;
    let mut sockets = request.namespace().netlink.all();
    sockets.retain(|socket| {
        wanted.sdiag_protocol == ALL || u32::from(wanted.sdiag_protocol) == socket.protocol() as u32
    });
    request.list(list(SOCK_DIAG_BY_FAMILY, sockets, |socket: &Arc<NetlinkSocket>, body| {
        let (port, group) = socket.target();
        body.push(&netlink_diag_msg {
            ndiag_family: AF_NETLINK as u8,
            ndiag_type: socket.kind() as u8,
            ndiag_protocol: socket.protocol() as u8,
            ndiag_state: 0,
            ndiag_portid: socket.port(),
            ndiag_dst_portid: port,
            ndiag_dst_group: group,
            ndiag_ino: socket.options().identity().ino as u32,
            ndiag_cookie: [u32::MAX; 2],
        });
    }))
}
