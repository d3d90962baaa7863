//! What the registers of a trust domain hold that boots an image: computed from the image alone, for each way of loading it, so that anyone can
//! say beforehand what a machine must show.
//!
//! The image is in RTMR1 and RTMR2. [`firmware`] has MRTD, which is the firmware's. RTMR0 holds what the firmware was told of the machine's
//! shape (memory, ACPI tables, boot variables), and follows from neither; RTMR3 is the runtime's.
//!
//! UEFI 2.10 section 38.4.1 (which register), TCG PC Client Platform Firmware Profile 1.06 sections 9 and 10 (which events), edk2's
//! `TdTcg2Dxe` (in which order; a test holds it against what was found in genuine logs).

pub mod firmware;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha384};

use crate::identity::hex;
use crate::inspect::Parts;
use crate::{Error, authenticode};

/// A register, or what it is extended with.
pub type Measurement = [u8; 48];

/// Types of events.
pub mod kind {
    /// Draws a line between the firmware and what it starts.
    pub const SEPARATOR: u32 = 4;
    /// An application that the firmware starts, by its Authenticode hash.
    pub const BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
    /// The partition table of the disk that it is on.
    pub const GPT: u32 = 0x8000_0006;
    /// Something that was done, by its name.
    pub const ACTION: u32 = 0x8000_0007;
}

/// How the image gets into the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// From its disk, by a firmware of the TDVF kind.
    Tdvf,
    /// The same by an older one, which draws no line in RTMR1 before it starts an application.
    TdvfWithoutSeparator,
    /// The UKI by the simulated TDX module of the tests.
    Tdsim,
}

/// One event in a register that the image decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number of the RTMR.
    pub register: usize,
    /// Its type.
    pub kind: u32,
    /// What the register is extended with.
    pub digest: Measurement,
}

/// Registers that the image decides, as 96 hexadecimal digits each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// Firmware and what it started.
    pub rtmr1: String,
    /// What was added to the command line: nothing.
    pub rtmr2: String,
}

impl Loading {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::Tdvf, Self::TdvfWithoutSeparator, Self::Tdsim];

    /// Its name, in manifests and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tdvf => "tdvf",
            Self::TdvfWithoutSeparator => "tdvf-without-separator",
            Self::Tdsim => "tdsim",
        }
    }

    /// Whether it is from a disk.
    const fn has_disk(self) -> bool {
        !matches!(self, Self::Tdsim)
    }
}

impl Event {
    /// One whose digest is that of its data.
    fn bound(register: usize, kind: u32, data: &[u8]) -> Self {
        Self { register, kind, digest: Sha384::digest(data).into() }
    }
}

/// The registers of machines that boot `file`, which may be the UKI or the disk in any form, by the name of the way of loading. Without a
/// disk, there are those without one.
///
/// # Errors
/// If it is no image in a form that we write.
pub fn registers(file: &[u8]) -> Result<BTreeMap<String, Registers>, Error> {
    let parts = Parts::of(file)?;
    let ways = Loading::ALL.into_iter().filter(|loading| parts.get("disk").is_some() || !loading.has_disk());
    ways.map(|loading| {
        let [rtmr1, rtmr2] = replay(&events_of(&parts, loading)?);
        Ok((loading.name().to_owned(), Registers { rtmr1: hex(&rtmr1), rtmr2: hex(&rtmr2) }))
    })
    .collect()
}

/// The events of one way, in their order.
///
/// # Errors
/// If `file` is no image in a form that we write, or has no disk to be loaded from.
pub fn events(file: &[u8], loading: Loading) -> Result<Vec<Event>, Error> {
    events_of(&Parts::of(file)?, loading)
}

fn events_of(parts: &Parts, loading: Loading) -> Result<Vec<Event>, Error> {
    let uki = parts.get("uki").unwrap_or_default();
    let application =
        Event { register: 1, kind: kind::BOOT_SERVICES_APPLICATION, digest: authenticode::digest(uki)? };
    let mut events = vec![Event::bound(1, kind::ACTION, b"Calling EFI Application from Boot Option")];
    if loading != Loading::TdvfWithoutSeparator {
        events.push(Event::bound(1, kind::SEPARATOR, &[0; 4]));
    }
    if loading.has_disk() {
        let disk = parts.get("disk").ok_or_else(|| Error::input("the image", "it has no disk"))?;
        events.push(Event::bound(1, kind::GPT, &table::event(disk)?));
    }
    events.push(application);
    events.push(Event::bound(1, kind::ACTION, b"Exit Boot Services Invocation"));
    events.push(Event::bound(1, kind::ACTION, b"Exit Boot Services Returned with Success"));
    if loading == Loading::Tdsim {
        events.push(Event::bound(2, kind::SEPARATOR, &[0; 4]));
    }
    Ok(events)
}

/// RTMR1 and RTMR2 after these events.
fn replay(events: &[Event]) -> [Measurement; 2] {
    [1, 2].map(|register| {
        events.iter().filter(|event| event.register == register).fold([0; 48], |value, event| {
            Sha384::new().chain_update(value).chain_update(event.digest).finalize().into()
        })
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha384};

    use super::{Loading, events, kind, registers};
    use crate::format::Format;
    use crate::identity::hex;
    use crate::sample;

    #[test]
    fn registers_follow_from_the_image_in_any_form() {
        let image = sample::image(b"init").unwrap();
        let expected = registers(&image.disk).unwrap();
        assert_eq!(expected.len(), Loading::ALL.len());
        for format in Format::ALL {
            assert_eq!(registers(&format.write(&image.disk).unwrap()).unwrap(), expected, "{format:?}");
        }
        let of_uki = registers(&image.uki).unwrap();
        assert_eq!(of_uki.keys().collect::<Vec<_>>(), ["tdsim"]);
        assert_eq!(of_uki["tdsim"], expected["tdsim"]);

        let other = registers(&sample::image(b"another").unwrap().disk).unwrap();
        for (way, registers) in &expected {
            assert_ne!(registers.rtmr1, other[way].rtmr1, "{way}");
            assert_eq!(registers.rtmr2, other[way].rtmr2, "{way}");
        }
    }

    /// What two genuine logs have of RTMR1, but for what a boot loader adds: of a machine at Google and of one with Ubuntu's firmware. Digests
    /// of events that are the same everywhere, by their first bytes; the table and the application are each image's own.
    #[test]
    fn the_order_of_events_is_that_of_genuine_logs() {
        const CALLING: (u32, Option<u64>) = (kind::ACTION, Some(0x77a0_dab2_312b_4e1e));
        const LINE: (u32, Option<u64>) = (kind::SEPARATOR, Some(0x3943_41b7_182c_d227));
        const TABLE: (u32, Option<u64>) = (kind::GPT, None);
        const APPLICATION: (u32, Option<u64>) = (kind::BOOT_SERVICES_APPLICATION, None);
        const LEAVING: (u32, Option<u64>) = (kind::ACTION, Some(0x214b_0bef_1379_7560));
        const LEFT: (u32, Option<u64>) = (kind::ACTION, Some(0x0a2e_01c8_5dea_e718));
        let disk = sample::image(b"init").unwrap().disk;
        for (loading, genuine) in [
            (Loading::Tdvf, &[CALLING, LINE, TABLE, APPLICATION, LEAVING, LEFT][..]),
            (Loading::TdvfWithoutSeparator, &[CALLING, TABLE, APPLICATION, LEAVING, LEFT]),
        ] {
            let events = events(&disk, loading).unwrap();
            assert_eq!(events.len(), genuine.len());
            for (event, (kind, start)) in events.iter().zip(genuine) {
                assert_eq!((event.register, event.kind), (1, *kind));
                let found = u64::from_be_bytes(event.digest[..8].try_into().unwrap());
                assert!(start.is_none_or(|start| start == found), "{loading:?}: {found:#x}");
            }
        }
    }

    #[test]
    fn registers_are_the_events_hashed_one_after_the_other() {
        let image = sample::image(b"init").unwrap();
        let rtmr1 = events(&image.disk, Loading::Tdvf).unwrap().iter().fold(vec![0; 48], |value, event| {
            assert_eq!(event.register, 1);
            Sha384::digest([value.as_slice(), event.digest.as_slice()].concat()).to_vec()
        });
        let registers = registers(&image.disk).unwrap();
        assert_eq!(registers["tdvf"].rtmr1, hex(&rtmr1));
        assert_eq!(registers["tdvf"].rtmr2, "0".repeat(96));
        assert_ne!(registers["tdvf"].rtmr1, registers["tdvf-without-separator"].rtmr1);
        let kinds: Vec<u32> = events(&image.uki, Loading::Tdsim).unwrap().iter().map(|it| it.kind).collect();
        assert!(!kinds.contains(&kind::GPT) && events(&image.uki, Loading::Tdvf).is_err());
    }
}
