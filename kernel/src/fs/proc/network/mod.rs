//! What the files of /proc/PID/net show (proc_pid_net(5)): links and routes, sockets, counters.

pub mod counters;
pub mod links;
pub mod sockets;

use crate::fs::synthetic::Text;
use core::net::Ipv4Addr;

/// An address as these tables have it: its four bytes as a number of this machine.
fn number(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// Ends a line that is `width` bytes long with its newline, as programs that read it by position expect.
fn end_line(text: &mut Text, start: usize, width: usize) {
    text.pad(start, width - 1);
    text.bytes(b"\n");
}
