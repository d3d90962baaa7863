//! tcp, udp, unix, netlink: sockets of a network namespace. Addresses of kernel objects are not shown.

use super::{end_line, number};
use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::net::ns::NetNs;
use crate::net::report::Report;
use crate::net::{Socket, inet, unix};
use alloc::sync::Arc;
use ostd::timer::now_ns;

/// Bytes of a line of the tables.
const TCP_WIDTH: usize = 150;
const UDP_WIDTH: usize = 128;
/// Nanoseconds of a tick of these tables (USER_HZ).
const TICK_NS: u64 = 10_000_000;

/// /proc/net/tcp.
pub fn show_tcp(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    let start = text.len();
    text.bytes(
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    );
    end_line(text, start, TCP_WIDTH);
    for (slot, report) in inet::tcp::report(namespace).iter().enumerate() {
        let start = text.len();
        text.add(format_args!("{slot:4}: "));
        show_socket(report, text);
        text.add(format_args!(" 1 {:016x} 100 0 0 10 0", 0));
        end_line(text, start, TCP_WIDTH);
    }
    Ok(())
}

/// /proc/net/udp.
pub fn show_udp(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    show_datagrams("   sl", 5, &inet::udp::report(namespace), text)
}

/// /proc/net/raw.
pub fn show_raw(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    show_datagrams("  sl", 4, &inet::raw::report(namespace), text)
}

/// A table of sockets without connections, whose first column is `width` wide.
fn show_datagrams(heading: &str, width: usize, reports: &[Report], text: &mut Text) -> Result<()> {
    let start = text.len();
    text.bytes(heading.as_bytes());
    text.bytes(b"  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops");
    end_line(text, start, UDP_WIDTH);
    for (slot, report) in reports.iter().enumerate() {
        let start = text.len();
        text.add(format_args!("{slot:width$}: "));
        show_socket(report, text);
        text.add(format_args!(" 2 {:016x} {}", 0, report.drops));
        end_line(text, start, UDP_WIDTH);
    }
    Ok(())
}

/// What all of them show, up to the inode.
fn show_socket(report: &Report, text: &mut Text) {
    let ticks = report.timer_ns.saturating_sub(now_ns()) / TICK_NS;
    text.add(format_args!(
        "{:08X}:{:04X} {:08X}:{:04X} {:02X} {:08X}:{:08X} {:02X}:{ticks:08X} {:08X} {:5} {:8} {}",
        number(*report.local.ip()),
        report.local.port(),
        number(*report.remote.ip()),
        report.remote.port(),
        report.state as u8,
        report.send_queue,
        report.receive_queue,
        report.timer as u8,
        report.retransmits,
        report.identity.uid,
        0,
        report.identity.ino,
    ));
}

/// /proc/net/unix.
pub fn show_unix(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(b"Num       RefCount Protocol Flags    Type St Inode Path\n");
    for report in unix::report(namespace.id()) {
        let flags = if report.is_listening { 0x1_0000 } else { 0 };
        let state = if report.is_connected { 3 } else { 1 };
        text.add(format_args!(
            "{:016x}: {:08X} {:08X} {flags:08X} {:04X} {state:02X} {:5}",
            0, 2, 0, report.kind as u32, report.ino
        ));
        if !report.name.is_empty() {
            text.bytes(b" ");
            // Abstract names begin with a NUL, which is shown like all of them.
            let shown = report.name.iter().map(|byte| if *byte == 0 { b'@' } else { *byte });
            text.bytes(&shown.collect::<alloc::vec::Vec<u8>>());
        }
        text.bytes(b"\n");
    }
    Ok(())
}

/// /proc/net/netlink.
pub fn show_netlink(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
    for socket in namespace.netlink.all() {
        text.add(format_args!(
            "{:016x} {:<3} {:<10} {:08x} {:<8} {:<8} {:<5} {:<8} {:<8} {:<8}\n",
            0,
            socket.protocol() as u32,
            socket.port(),
            socket.groups(),
            socket.charge(),
            0,
            0,
            2,
            0,
            socket.options().identity().ino,
        ));
    }
    Ok(())
}
