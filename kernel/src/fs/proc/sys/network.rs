//! /proc/sys/net/ipv4 and core: settings of the reader's network namespace (ip(7), icmp(7)).

use super::parse;
use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Source, Text};
use crate::net::ns::NetNs;
use crate::net::settings::Settings;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Fills net/ipv4.
pub fn fill(sys: &Directory) {
    let ipv4 = sys.subdirectory("net").subdirectory("ipv4");
    ipv4.file("ip_forward", 0o644, Switch(|settings| &settings.ip_forward));
    ipv4.file("icmp_echo_ignore_all", 0o644, Switch(|settings| &settings.echo_ignore_all));
    let start = Number(|settings| &settings.unprivileged_port_start, u16::MAX.into());
    ipv4.file("ip_unprivileged_port_start", 0o644, start);
    let is_port_range = |first, last| (1..=last).contains(&first) && last <= u16::MAX.into();
    ipv4.file(
        "ip_local_port_range",
        0o644,
        Range { of: |settings| &settings.local_ports, is_good: is_port_range },
    );
    // Groups in the wrong order are none.
    let groups = Range { of: |settings| &settings.ping_groups, is_good: |_, last| last < u32::MAX };
    ipv4.file("ping_group_range", 0o644, groups);
    for (name, value) in FIXED {
        ipv4.file(name, 0o444, format!("{value}\n"));
    }
    let core = sys.subdirectory("net").subdirectory("core");
    for (name, value) in FIXED_CORE {
        core.file(name, 0o444, format!("{value}\n"));
    }
    for place in ["all", "default"] {
        let settings = ipv4.subdirectory("conf").subdirectory(place);
        settings.file("forwarding", 0o644, Switch(|settings| &settings.ip_forward));
        for name in ["accept_redirects", "accept_source_route", "arp_ignore", "rp_filter", "send_redirects"] {
            settings.file(name, 0o444, "0\n");
        }
    }
}

/// What is fixed, or has no meaning here, as Linux has it on a small machine.
#[rustfmt::skip]
const FIXED: &[(&str, &str)] = &[
    ("ip_default_ttl", "64"),
    ("ip_nonlocal_bind", "0"),
    ("tcp_congestion_control", "cubic"),
    ("tcp_available_congestion_control", "cubic"),
    ("tcp_fin_timeout", "60"),
    ("tcp_keepalive_intvl", "75"),
    ("tcp_keepalive_probes", "9"),
    ("tcp_keepalive_time", "7200"),
    ("tcp_max_syn_backlog", "4096"),
    ("tcp_rmem", "4096\t131072\t6291456"),
    ("tcp_sack", "1"),
    ("tcp_syncookies", "0"),
    ("tcp_timestamps", "0"),
    ("tcp_tw_reuse", "0"),
    ("tcp_window_scaling", "1"),
    ("tcp_wmem", "4096\t16384\t4194304"),
];

/// The same of net/core.
const FIXED_CORE: &[(&str, &str)] = &[
    ("default_qdisc", "noqueue"),
    ("netdev_max_backlog", "1000"),
    ("optmem_max", "131072"),
    ("rmem_default", "212992"),
    ("rmem_max", "212992"),
    ("wmem_default", "212992"),
    ("wmem_max", "212992"),
];

/// A number.
struct Number(fn(&Settings) -> &AtomicU32, u32);

impl core::fmt::Debug for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Number")
    }
}

impl Source for Number {
    fn show(&self, text: &mut Text) -> Result<()> {
        let namespace = NetNs::current()?;
        text.add(format_args!("{}\n", (self.0)(&namespace.settings).load(Ordering::Relaxed)));
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let value: u32 = parse(bytes)?;
        if value > self.1 {
            return Err(Errno::EINVAL.into());
        }
        (self.0)(&NetNs::current()?.settings).store(value, Ordering::Relaxed);
        Ok(())
    }
}

/// Two numbers: the first and the last of a range.
struct Range {
    of: fn(&Settings) -> &[AtomicU32; 2],
    is_good: fn(u32, u32) -> bool,
}

impl core::fmt::Debug for Range {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Range")
    }
}

impl Source for Range {
    fn show(&self, text: &mut Text) -> Result<()> {
        let namespace = NetNs::current()?;
        let [first, last] = (self.of)(&namespace.settings);
        text.add(format_args!("{}\t{}\n", first.load(Ordering::Relaxed), last.load(Ordering::Relaxed)));
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let words: Vec<&[u8]> =
            bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty() && *word != [0]).collect();
        let [first, last] = words[..] else { return Err(Errno::EINVAL.into()) };
        let (first, last) = (parse(first)?, parse(last)?);
        if !(self.is_good)(first, last) {
            return Err(Errno::EINVAL.into());
        }
        let namespace = NetNs::current()?;
        let range = (self.of)(&namespace.settings);
        range[0].store(first, Ordering::Relaxed);
        range[1].store(last, Ordering::Relaxed);
        Ok(())
    }
}

/// A setting that is 0 or 1.
struct Switch(fn(&Settings) -> &AtomicBool);

impl core::fmt::Debug for Switch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Switch")
    }
}

impl Source for Switch {
    fn show(&self, text: &mut Text) -> Result<()> {
        let namespace = NetNs::current()?;
        let value = (self.0)(&namespace.settings).load(Ordering::Relaxed);
        text.add(format_args!("{}\n", u8::from(value)));
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let value: u32 = parse(bytes)?;
        let namespace = NetNs::current().map_err(|_| Errno::EINVAL)?;
        (self.0)(&namespace.settings).store(value != 0, Ordering::Relaxed);
        Ok(())
    }
}
