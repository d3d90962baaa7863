//! Character devices: /sys/class/mem, tty, misc, virtio-ports.

use crate::device::registry::Node;
use crate::fs::synthetic::Directory;
use crate::fs::vfs::file_system::split_device;
use alloc::format;
use alloc::string::String;

/// Memory devices (null, zero …).
const MEM_MAJOR: u32 = 1;
/// Terminals on lines.
const TTY_MAJOR: u32 = 4;
/// /dev/tty, console, ptmx.
const AUXILIARY_TTY_MAJOR: u32 = 5;
/// Ports of the first virtio console; each further console has the next number.
const PORT_MAJOR: u32 = 240;

/// Class and directory of a device.
pub fn place(node: &Node) -> (&'static str, &'static str) {
    match split_device(node.device).0 {
        MEM_MAJOR => ("mem", "devices/virtual/mem"),
        TTY_MAJOR | AUXILIARY_TTY_MAJOR => ("tty", "devices/virtual/tty"),
        _ if is_port(node) => ("virtio-ports", "devices/virtio/virtio-ports"),
        _ => ("misc", "devices/virtual/misc"),
    }
}

/// The name of a device's directory: that of its node but for ports, whose nodes bear the names that the host gave them.
pub fn name(node: &Node) -> String {
    match split_device(node.device) {
        (major, number) if is_port(node) => format!("vport{}p{number}", major.saturating_sub(PORT_MAJOR)),
        _ => node.name.replace('/', "!"),
    }
}

/// What is told of ports only: the host's name.
pub fn fill(directory: &Directory, node: &Node) {
    if is_port(node) {
        let name = node.name.strip_prefix(PORTS).unwrap_or_default();
        directory.file("name", 0o444, format!("{name}\n"));
    }
}

/// Where the nodes of ports are.
const PORTS: &str = "virtio-ports/";

fn is_port(node: &Node) -> bool {
    node.name.starts_with(PORTS) || node.name.starts_with("vport")
}
