//! Multiple APIC Description Table (ACPI 6.5, 5.2.12).

use super::{IoApic, IsaOverride, Platform, little_endian};

const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const INTERRUPT_OVERRIDE: u8 = 2;
const LOCAL_X2APIC: u8 = 9;
const WAKEUP: u8 = 16;
const ENTRIES: usize = 44;
const IS_ENABLED: u64 = 1;

/// Takes CPUs and I/O APICs. An entry shorter than its type says, or past the end, ends the walk.
pub(super) fn read(body: &[u8], platform: &mut Platform) {
    let mut rest = body.get(ENTRIES..).unwrap_or(&[]);
    while let [kind, len, ..] = *rest {
        let len = usize::from(len);
        let Some(entry) = rest.get(..len).filter(|_| len >= 2) else { return };
        match (kind, len) {
            (LOCAL_APIC, 8..) if little_endian(&entry[4..8]) & IS_ENABLED != 0 => {
                platform.apic_ids.push(u32::from(entry[3]));
            }
            (LOCAL_X2APIC, 16..) if little_endian(&entry[8..12]) & IS_ENABLED != 0 => {
                platform.apic_ids.push(little_endian(&entry[4..8]) as u32);
            }
            (WAKEUP, 16..) => platform.mailbox = Some(little_endian(&entry[8..16])),
            (IO_APIC, 12..) => platform.io_apics.push(IoApic {
                address: little_endian(&entry[4..8]) as u32,
                first_gsi: little_endian(&entry[8..12]) as u32,
            }),
            (INTERRUPT_OVERRIDE, 10..) => platform.isa_overrides.push(IsaOverride {
                isa: entry[3],
                gsi: little_endian(&entry[4..8]) as u32,
                flags: little_endian(&entry[8..10]) as u16,
            }),
            _ => {}
        }
        rest = &rest[len..];
    }
}
