//! /proc/sys/kernel/random (random(4)).

use super::kernel::line;
use crate::error::Result;
use crate::fs::synthetic::{Directory, Text};
use ostd::sync::Once;

/// Bits of the generator's key: what "entropy" is when it never runs out.
const POOL_BITS: u32 = 256;

static BOOT_ID: Once<[u8; 16]> = Once::new();

/// Fills the directory.
pub fn fill(random: &Directory) {
    random.text("boot_id", show_boot_id);
    random.text("uuid", |text| show_uuid(text, &new_uuid()?));
    random.text("entropy_avail", |text| line(text, POOL_BITS));
    random.text("poolsize", |text| line(text, POOL_BITS));
    random.text("write_wakeup_threshold", |text| line(text, POOL_BITS));
    random.text("urandom_min_reseed_secs", |text| line(text, 60));
}

/// The same until the machine goes down.
fn show_boot_id(text: &mut Text) -> Result<()> {
    if BOOT_ID.get().is_none() {
        let id = new_uuid()?;
        BOOT_ID.call_once(|| id);
    }
    BOOT_ID.get().map_or(Ok(()), |id| show_uuid(text, id))
}

/// A random UUID (RFC 9562, version 4).
fn new_uuid() -> Result<[u8; 16]> {
    let mut uuid = [0; 16];
    ostd::random::fill(&mut uuid)?;
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

fn show_uuid(text: &mut Text, uuid: &[u8; 16]) -> Result<()> {
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.bytes(b"-");
        }
        text.add(format_args!("{byte:02x}"));
    }
    text.bytes(b"\n");
    Ok(())
}
