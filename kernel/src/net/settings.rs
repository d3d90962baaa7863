//! A namespace's settings: /proc/sys/net/ipv4.

use core::sync::atomic::{AtomicBool, AtomicU32};

/// Values as they are when the namespace is made.
#[derive(Debug)]
pub struct Settings {
    /// ip_forward.
    pub ip_forward: AtomicBool,
    /// ip_local_port_range, first and last.
    pub local_ports: [AtomicU32; 2],
    /// ip_unprivileged_port_start.
    pub unprivileged_port_start: AtomicU32,
    /// ping_group_range, first and last.
    pub ping_groups: [AtomicU32; 2],
    /// icmp_echo_ignore_all.
    pub echo_ignore_all: AtomicBool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ip_forward: AtomicBool::new(false),
            local_ports: [AtomicU32::new(32768), AtomicU32::new(60999)],
            unprivileged_port_start: AtomicU32::new(1024),
            // Nobody: the first is above the last.
            ping_groups: [AtomicU32::new(1), AtomicU32::new(0)],
            echo_ignore_all: AtomicBool::new(false),
        }
    }
}
