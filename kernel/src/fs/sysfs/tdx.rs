//! What a trust domain shows of itself: measurement registers below its device (Linux's sysfs-devices-virtual-misc-tdx_guest) and the firmware's event log
//! below /sys/firmware/acpi/tables, where tools read it (ACPI 6.5, 5.2.34).

use super::at;
use crate::device::tdx::registers::{REGISTERS, Register};
use crate::error::Result;
use crate::fs::synthetic::{Directory, Source, Text};
use alloc::vec::Vec;
use ostd::tdx::{RTMR_LEN, TrustDomain};

/// Fills in what there is.
pub fn fill() {
    if ostd::tdx::info().is_none() {
        return;
    }
    let device = at("devices/virtual/misc/tdx_guest");
    device.text("platform", show_platform);
    let measurements = device.subdirectory("measurements");
    for register in REGISTERS {
        measurements.file(register.name, register.permissions(), register);
    }
    if let Some((table, log)) = ostd::tdx::event_log() {
        let tables: alloc::sync::Arc<Directory> = at("firmware/acpi/tables");
        tables.file("CCEL", 0o400, Bytes(table));
        tables.subdirectory("data").file("CCEL", 0o400, Bytes(log));
    }
}

/// Ours, for `docker info`: Linux has no such file. One line of words.
fn show_platform(text: &mut Text) -> Result<()> {
    if let Some(domain) = ostd::tdx::info() {
        let TrustDomain { attributes, accepted, unaccepted, .. } = domain;
        text.add(format_args!("attributes={attributes:#x},accepted={accepted},unaccepted={unaccepted}\n"));
    }
    Ok(())
}

impl Source for &'static Register {
    fn show(&self, text: &mut Text) -> Result<()> {
        text.bytes(&self.read()?);
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        self.extend(bytes)
    }

    fn size(&self) -> u64 {
        RTMR_LEN as u64
    }
}

/// Bytes that stay as they are.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl Source for Bytes {
    fn show(&self, text: &mut Text) -> Result<()> {
        text.bytes(&self.0);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}
