//! What a loader measures, and the log of it.
//!
//! MRTD is over the loader itself, by the rule of the TDX module: each page added, each 256 bytes of it extended. RTMR0 has the list of memory,
//! RTMR1 the payload: a unified kernel image as a UEFI firmware measures an application that it starts, any other kernel as
//! td-shim measures its payload. RTMR2 has words that were added to the command line. RTMR3 is the guest's own.
//!
//! UEFI 2.10 section 38.4.1; TCG PC Client Platform Firmware Profile 1.06, sections 9 and 10.

use attestation_test_pki::{EventLogWriter, SHA384};
use sha2::{Digest as _, Sha384};

/// SHA-384.
pub type Measurement = [u8; 48];

/// What the loader left in the registers, and its log.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The loader.
    pub mr_td: Measurement,
    /// RTMR0 to RTMR3.
    pub rtmr: [Measurement; 4],
    /// For the table CCEL.
    pub log: Vec<u8>,
}

/// Something that was measured.
#[derive(Debug, Clone)]
pub struct Event {
    /// Which RTMR.
    pub register: usize,
    /// Its type.
    pub kind: u32,
    /// What the register was extended with.
    pub digest: Measurement,
    /// What the log says of it.
    pub data: Vec<u8>,
}

/// Types of events.
mod kind {
    pub const SEPARATOR: u32 = 4;
    pub const EVENT_TAG: u32 = 6;
    pub const BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
    pub const ACTION: u32 = 0x8000_0007;
    pub const PLATFORM_FIRMWARE_BLOB_2: u32 = 0x8000_000a;
    pub const HANDOFF_TABLES_2: u32 = 0x8000_000b;
}

impl Event {
    /// One whose digest is that of its data.
    fn bound(register: usize, kind: u32, data: &[u8]) -> Self {
        Self { register, kind, digest: Sha384::digest(data).into(), data: data.to_vec() }
    }
}

/// What was booted.
#[derive(Debug, Clone)]
pub enum Booted {
    /// A unified kernel image, by its Authenticode hash.
    Unified(Measurement),
    /// Another kernel, by the hash of its file.
    Kernel(Measurement),
}

/// Measures a boot.
#[must_use]
pub fn measure(booted: &Booted, memory_list: &[u8], added_words: &str) -> Measured {
    let mut events = vec![Event {
        register: 0,
        kind: kind::HANDOFF_TABLES_2,
        digest: Sha384::digest(memory_list).into(),
        data: b"td_hob\0".to_vec(),
    }];
    events.push(Event::bound(0, kind::SEPARATOR, &[0; 4]));
    match booted {
        Booted::Unified(digest) => {
            events.push(Event::bound(1, kind::ACTION, b"Calling EFI Application from Boot Option"));
            events.push(Event::bound(1, kind::SEPARATOR, &[0; 4]));
            events.push(Event {
                register: 1,
                kind: kind::BOOT_SERVICES_APPLICATION,
                digest: *digest,
                data: b"coffer.efi".to_vec(),
            });
            events.push(Event::bound(1, kind::ACTION, b"Exit Boot Services Invocation"));
            events.push(Event::bound(1, kind::ACTION, b"Exit Boot Services Returned with Success"));
        }
        Booted::Kernel(digest) => {
            events.push(Event::bound(1, kind::SEPARATOR, &[0; 4]));
            events.push(Event {
                register: 1,
                kind: kind::PLATFORM_FIRMWARE_BLOB_2,
                digest: *digest,
                data: b"td_payload\0".to_vec(),
            });
        }
    }
    if !added_words.is_empty() {
        let wide: Vec<u8> = added_words.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        events.push(Event {
            register: 2,
            kind: kind::EVENT_TAG,
            digest: Sha384::digest(&wide).into(),
            data: wide,
        });
    }
    events.push(Event::bound(2, kind::SEPARATOR, &[0; 4]));
    Measured { mr_td: mr_td(), rtmr: replay(&events), log: log(&events) }
}

fn replay(events: &[Event]) -> [Measurement; 4] {
    let mut registers = [[0; 48]; 4];
    for event in events {
        let register = &mut registers[event.register];
        *register = Sha384::new().chain_update(*register).chain_update(event.digest).finalize().into();
    }
    registers
}

fn log(events: &[Event]) -> Vec<u8> {
    // The header has MRTD's number, as the first event has it in edk2.
    let add = |log: EventLogWriter, event: &Event| {
        log.event(event.register as u32 + 1, event.kind, &event.digest, &event.data)
    };
    events.iter().fold(EventLogWriter::new(1, &[SHA384]), add).finish()
}

/// The loader that this plays: one page at the reset vector.
fn mr_td() -> Measurement {
    const ADDRESS: u64 = 0xffff_f000;
    let mut page = [0; 4096];
    let name = b"coffer-tdsim loader, version 1";
    page[..name.len()].copy_from_slice(name);
    mr_td_of(&[(ADDRESS, &page)])
}

/// MRTD of pages that are added and extended one after the other.
fn mr_td_of(pages: &[(u64, &[u8; 4096])]) -> Measurement {
    const CHUNK: usize = 256;
    let record = |name: &[u8], address: u64| {
        let mut record = [0; 128];
        record[..name.len()].copy_from_slice(name);
        record[16..24].copy_from_slice(&address.to_le_bytes());
        record
    };
    let mut hash = Sha384::new();
    for (address, page) in pages {
        hash.update(record(b"MEM.PAGE.ADD", *address));
        for (number, chunk) in (0..).zip(page.chunks_exact(CHUNK)) {
            hash.update(record(b"MR.EXTEND", address + number * CHUNK as u64));
            hash.update(chunk);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use attestation_evidence::EventLog;

    use super::{Booted, measure};

    #[test]
    fn the_log_replays_to_the_registers() {
        for (booted, words) in [(Booted::Unified([1; 48]), ""), (Booted::Kernel([2; 48]), "console=ttyS0")] {
            let mut measured = measure(&booted, b"list", words);
            assert_eq!(EventLog::parse(&measured.log).unwrap().replay(), measured.rtmr);
            // With the room behind it, as a guest sees it.
            measured.log.resize(0x1_0000, 0);
            assert_eq!(EventLog::parse(&measured.log).unwrap().replay(), measured.rtmr);
            assert_eq!(measured.rtmr[3], [0; 48]);
        }
    }

    #[test]
    fn what_is_booted_is_in_rtmr1_alone() {
        let [first, second] = [[1; 48], [2; 48]].map(|digest| measure(&Booted::Unified(digest), b"list", ""));
        assert_eq!(
            (first.mr_td, first.rtmr[0], first.rtmr[2]),
            (second.mr_td, second.rtmr[0], second.rtmr[2])
        );
        assert_ne!(first.rtmr[1], second.rtmr[1]);
    }
}
