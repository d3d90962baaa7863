//! [`EventLog`]: the firmware's log of what it measured into RTMR0 to RTMR2, in the form of UEFI 2.10 section 38 and the TCG PC
//! Client Platform Firmware Profile ("crypto-agile" log), which a machine shows as ACPI table CCEL.
//!
//! Only digests are bound to the registers. An event's type and data are what the log's bearer says, except where the data's digest
//! is the event's: [`LoggedEvent::is_bound`]. For the types of which the profile says so, it must be.

mod names;

pub use names::event_type_name;
use sha2::{Digest as _, Sha384};

use crate::reader::{Malformed, Reader, expect};
use crate::{Measurement, Registers, extend};

const SHA384: u16 = 0x000c;
const SHA384_SIZE: u16 = 48;
const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";

/// A log, all of whose events have the right form.
#[derive(Clone, Copy, Debug)]
pub struct EventLog<'a> {
    events: &'a [u8],
    length: usize,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct LoggedEvent<'a> {
    /// The measurement register: 1 to 4 are RTMR0 to RTMR3.
    pub register: u32,
    /// Its type, a constant of the profile.
    pub kind: u32,
    /// What the register was extended with.
    pub digest: &'a Measurement,
    /// What the log says that it was about.
    pub data: &'a [u8],
}

impl<'a> EventLog<'a> {
    /// Reads a log, which ends at its end or at a filler of zeros or ones that goes on to the end.
    ///
    /// # Errors
    ///
    /// When it is not a log of SHA-384 digests only, an event has a register that it cannot have, or one whose data must be what
    /// was measured are not.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        header(&mut reader)?;
        let area = reader.rest();
        let mut length = 0;
        while let Some(event) = next(&mut reader, length)? {
            event.check(length)?;
            length += 1;
        }
        let used = area.len() - reader.rest().len();
        Ok(Self { events: area.get(..used).unwrap_or_default(), length })
    }

    /// How many events there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The events, in their order.
    #[must_use]
    pub const fn events(&self) -> LoggedEvents<'a> {
        LoggedEvents(Reader::new(self.events))
    }

    /// What the registers come to.
    #[must_use]
    pub fn replay(&self) -> Registers {
        let mut registers = Registers::from([[0; 48]; 4]);
        for event in self.events().filter(LoggedEvent::is_measured) {
            let register = usize::try_from(event.register).ok().and_then(|index| index.checked_sub(1));
            if let Some(register) = register.and_then(|index| registers.get_mut(index)) {
                *register = extend(register, event.digest);
            }
        }
        registers
    }

    /// Whether any event went into RTMR `index`.
    #[must_use]
    pub fn has_events_of(&self, index: u32) -> bool {
        self.events().any(|event| event.is_measured() && event.register.checked_sub(1) == Some(index))
    }
}

impl LoggedEvent<'_> {
    /// Whether a register was extended. `EV_NO_ACTION` only informs.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.kind != names::NO_ACTION
    }

    /// Whether the data are bound to the register: their digest is the event's.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.is_measured() && Sha384::digest(self.data).as_slice() == self.digest
    }

    fn check(&self, index: usize) -> Result<(), Malformed> {
        let reason = if !self.is_measured() {
            return Ok(());
        } else if !(1..=4).contains(&self.register) {
            // Index 0 is MRTD, which is closed when the domain starts.
            "its register is not one of RTMR0 to RTMR3"
        } else if names::must_be_bound(self.kind) && !self.is_bound() {
            "its data are not what was measured"
        } else {
            return Ok(());
        };
        Err(Malformed::Event { index, reason })
    }
}

/// The events of a log that was read.
#[derive(Clone, Copy, Debug)]
pub struct LoggedEvents<'a>(Reader<'a>);

impl<'a> Iterator for LoggedEvents<'a> {
    type Item = LoggedEvent<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.0, 0).ok().flatten()
    }
}

/// The first record, `TCG_EfiSpecIDEvent` in the form of TCG 1.2: it says that all others have one SHA-384 digest.
fn header(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    const FIELD: &str = "the event log's header";
    let register = reader.u32(FIELD)?;
    let kind = reader.u32(FIELD)?;
    let digest = reader.array::<20>(FIELD)?;
    let mut event = Reader::new(reader.prefixed(FIELD)?);
    if event.array::<16>(FIELD)? != SIGNATURE || digest != &[0; 20] {
        let expected = "a header as of the TCG's specification";
        return Err(Malformed::Unexpected { field: FIELD, value: kind.into(), expected });
    }
    if register > 1 {
        let expected = "0 or 1";
        return Err(Malformed::Unexpected {
            field: "the header's register",
            value: register.into(),
            expected,
        });
    }
    expect("the header's type", kind, names::NO_ACTION.into(), "3 (EV_NO_ACTION)")?;
    let class = event.u32(FIELD)?;
    expect("the log's platform class", class, 0, "0 (client)")?;
    let [minor, major, _errata] = *event.array::<3>(FIELD)?;
    expect("the log's major version", major, 2, "2")?;
    expect("the log's minor version", minor, 0, "0")?;
    let word = event.u8(FIELD)?;
    if !matches!(word, 1 | 2) {
        let expected = "1 (32 bits) or 2 (64 bits)";
        return Err(Malformed::Unexpected { field: "the log's word size", value: word.into(), expected });
    }

    let algorithms = event.u32(FIELD)?;
    expect("the number of digests of an event", algorithms, 1, "1 (SHA-384 alone)")?;
    let algorithm = event.u16(FIELD)?;
    expect("the log's digest algorithm", algorithm, SHA384.into(), "0xc (SHA-384)")?;
    let size = event.u16(FIELD)?;
    expect("the log's digest size", size, SHA384_SIZE.into(), "48")?;
    let vendor = event.u8(FIELD)?;
    event.bytes(vendor.into(), FIELD)?;
    event.finish(FIELD)
}

/// The next event; none at the end or at the filler.
fn next<'a>(reader: &mut Reader<'a>, index: usize) -> Result<Option<LoggedEvent<'a>>, Malformed> {
    const FIELD: &str = "an event of the log";
    let rest = reader.rest();
    if is_filler(rest) {
        return Ok(None);
    }
    if rest.starts_with(&[0xff; 4]) || rest.starts_with(&[0; 8]) {
        return Err(Malformed::NotEmpty("the event log's area after its end"));
    }
    let register = reader.u32(FIELD)?;
    let kind = reader.u32(FIELD)?;
    let count = reader.u32(FIELD)?;
    if count != 1 {
        return Err(Malformed::Event { index, reason: "it has not one digest but another number" });
    }
    if reader.u16(FIELD)? != SHA384 {
        return Err(Malformed::Event { index, reason: "its digest is not of SHA-384" });
    }
    let digest = reader.array(FIELD)?;
    let data = reader.prefixed("an event's data")?;
    Ok(Some(LoggedEvent { register, kind, digest, data }))
}

/// Whether this is the unused part of the log's area: nothing, all zeros or all ones.
fn is_filler(rest: &[u8]) -> bool {
    [0, 0xff].iter().any(|filler| rest.iter().all(|byte| byte == filler))
}
