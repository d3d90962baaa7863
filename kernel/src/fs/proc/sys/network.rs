//! /proc/sys/net/ipv4: settings of the reader's network namespace (ip(7), icmp(7)).

use super::parse;
use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Source, Text};
use crate::net::ns::NetNs;
use crate::net::settings::Settings;
use core::sync::atomic::{AtomicBool, Ordering};

/// Fills net/ipv4.
pub fn fill(sys: &Directory) {
    let ipv4 = sys.subdirectory("net").subdirectory("ipv4");
    ipv4.file("ip_forward", 0o644, Switch(|settings| &settings.ip_forward));
    ipv4.file("icmp_echo_ignore_all", 0o644, Switch(|settings| &settings.echo_ignore_all));
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
