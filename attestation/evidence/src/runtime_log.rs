//! [`RuntimeLog`]: what PID 1 measured into RTMR3, defined in docs/runtime-log.md with the reasons. [`RuntimeEvent`] is one event,
//! [`RuntimeRecord`] its one encoding.
//!
//! Every byte of a log is bound to the register: a record's digest covers its place, kind and contents, and there is one way only to
//! write a record and one order only to boot in.

use sha2::{Digest as _, Sha384};

use crate::reader::{Malformed, Reader};
use crate::{Measurement, extend};

/// First bytes of a log.
pub const MAGIC: &[u8; 16] = b"coffer-runtime/1";
/// Tag of a record's digest.
pub const RECORD_TAG: &[u8] = b"coffer.runtime-record.v1\0";

/// The longest record: a container's start with SHA-512 digests.
const RECORD_LIMIT: usize = 14 + 32 + 2 * (1 + 64) + 1 + 48;

/// One thing that PID 1 measured, before it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// The machine's configuration: SHA-384 of the file.
    Configuration(Measurement),
    /// Who may tell the machine what to do.
    Mode(Mode),
    /// Open mode: SHA-384 of the certificates (DER) of the authorities of the owner's clients; zero if there are none.
    ClientAuthority(Measurement),
    /// Sealed mode: SHA-384 of the workload file.
    Workload(Measurement),
    /// SHA-384 of the machine's TLS key (SubjectPublicKeyInfo in DER), which was made in the machine.
    TlsKey(Measurement),
    /// The machine is up: nothing of the above comes any more.
    BootEnd,
    /// A container starts.
    ContainerStart(ContainerStart),
    /// A process starts in a container that runs.
    Exec {
        /// The container's id.
        container: [u8; 32],
        /// SHA-384 of the OCI process.
        process: Measurement,
    },
    /// Files are put into a container from outside: from then on it is not its image that runs there.
    ContentsChange {
        /// The container's id.
        container: [u8; 32],
        /// SHA-384 of the path of the folder, as it was asked for.
        path: Measurement,
    },
}

/// The start of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerStart {
    /// Its id.
    pub container: [u8; 32],
    /// The image's id: the digest of its configuration, which names every layer by its contents.
    pub image: ImageDigest,
    /// The digest that a registry knows the image by, if it came by one: of its manifest, or of the index that has it.
    pub manifest: Option<ImageDigest>,
    /// How far it is kept apart from the machine.
    pub isolation: Isolation,
    /// SHA-384 of the full OCI configuration, with mounts, network and privileges.
    pub configuration: Measurement,
}

/// How far a container is kept apart from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// It was given nothing but what every container has: no folder of the machine, no further privileges, no namespace of others. It gets no
    /// quote but those that name it.
    Confined,
    /// It was given something of the machine: nothing is said of what it can reach, and it may have asked for any quote.
    Exposed,
}

/// Who may tell the machine what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whoever has a certificate of the owner's authority, by the Docker API.
    Open,
    /// Nobody: it runs the workload that it was given.
    Sealed,
}

/// The digest of an image, in an algorithm that OCI registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDigest {
    /// `sha256:…`
    Sha256([u8; 32]),
    /// `sha512:…`
    Sha512([u8; 64]),
}

/// One record: an event at its place.
#[derive(Clone, Copy)]
pub struct RuntimeRecord {
    bytes: [u8; RECORD_LIMIT],
    length: usize,
}

/// A log whose records come in the order in which they can.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeLog<'a> {
    records: &'a [u8],
    length: u64,
    is_booted: bool,
}

impl<'a> RuntimeLog<'a> {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// When a record is not encoded in the one way that it can be, sequence numbers do not count up from 0, or an event comes where it
    /// cannot.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array("the runtime log's header")? != MAGIC {
            let expected = "coffer-runtime/1";
            return Err(Malformed::Unexpected { field: "the runtime log's header", value: 0, expected });
        }
        let records = reader.rest();
        let mut order = RuntimeOrder::default();
        let mut length = 0;
        while !reader.is_empty() {
            let index = usize::try_from(length).unwrap_or(usize::MAX);
            let event = read_record(&mut reader, length)?;
            order = order.after(&event).map_err(|reason| Malformed::Event { index, reason })?;
            length += 1;
        }
        Ok(Self { records, length, is_booted: order.is_running() })
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the machine had come up when the log was taken.
    #[must_use]
    pub const fn is_booted(&self) -> bool {
        self.is_booted
    }

    /// The records, in their order.
    #[must_use]
    pub const fn records(&self) -> RuntimeRecords<'a> {
        RuntimeRecords { reader: Reader::new(self.records), sequence: 0 }
    }

    /// What RTMR3 comes to.
    #[must_use]
    pub fn replay(&self) -> Measurement {
        self.records().fold([0; 48], |register, (_, digest)| extend(&register, &digest))
    }
}

/// The events of a log that was read, each with what RTMR3 was extended with.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeRecords<'a> {
    reader: Reader<'a>,
    sequence: u64,
}

impl Iterator for RuntimeRecords<'_> {
    type Item = (RuntimeEvent, Measurement);

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.reader.rest();
        let event = read_record(&mut self.reader, self.sequence).ok()?;
        self.sequence += 1;
        let used = before.len() - self.reader.rest().len();
        Some((event, digest(before.get(..used)?)))
    }
}

/// Where in the life of a machine a log is: which event may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOrder(Order);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Configuration,
    Mode,
    /// The mode's own event.
    Owner(Mode),
    TlsKey,
    BootEnd,
    Running,
}

impl RuntimeOrder {
    /// Where a log is after `event`.
    ///
    /// # Errors
    ///
    /// When that is not an event that may come next.
    pub fn after(self, event: &RuntimeEvent) -> Result<Self, &'static str> {
        self.0.after(event).map(Self)
    }

    /// Whether the boot phase has ended.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self.0, Order::Running)
    }
}

impl Order {
    fn after(self, event: &RuntimeEvent) -> Result<Self, &'static str> {
        Ok(match (self, event) {
            (Self::Configuration, RuntimeEvent::Configuration(_)) => Self::Mode,
            (Self::Mode, RuntimeEvent::Mode(mode)) => Self::Owner(*mode),
            (Self::Owner(Mode::Open), RuntimeEvent::ClientAuthority(_))
            | (Self::Owner(Mode::Sealed), RuntimeEvent::Workload(_)) => Self::TlsKey,
            (Self::TlsKey, RuntimeEvent::TlsKey(_)) => Self::BootEnd,
            (Self::BootEnd, RuntimeEvent::BootEnd) => Self::Running,
            (
                Self::Running,
                RuntimeEvent::ContainerStart(_)
                | RuntimeEvent::Exec { .. }
                | RuntimeEvent::ContentsChange { .. },
            ) => Self::Running,
            (Self::Running, _) => return Err("it belongs before the end of the boot phase"),
            _ => return Err("it is not what comes next in the boot phase"),
        })
    }
}

impl RuntimeEvent {
    /// This event as the record with the number `sequence`.
    #[must_use]
    pub fn record(&self, sequence: u64) -> RuntimeRecord {
        let mut payload = RuntimeRecord::default();
        match self {
            Self::Configuration(digest)
            | Self::ClientAuthority(digest)
            | Self::Workload(digest)
            | Self::TlsKey(digest) => payload.push(digest),
            Self::Mode(mode) => payload.push(&[match mode {
                Mode::Open => 1,
                Mode::Sealed => 2,
            }]),
            Self::BootEnd => {}
            Self::ContainerStart(start) => {
                payload.push(&start.container);
                payload.push_digest(Some(&start.image));
                payload.push_digest(start.manifest.as_ref());
                payload.push(&[match start.isolation {
                    Isolation::Confined => 1,
                    Isolation::Exposed => 2,
                }]);
                payload.push(&start.configuration);
            }
            Self::Exec { container, process } => {
                payload.push(container);
                payload.push(process);
            }
            Self::ContentsChange { container, path } => {
                payload.push(container);
                payload.push(path);
            }
        }
        let length = u32::try_from(payload.length).expect("a payload is at most a record long");
        let mut record = RuntimeRecord::default();
        record.push(&sequence.to_le_bytes());
        record.push(&self.kind().to_le_bytes());
        record.push(&length.to_le_bytes());
        record.push(payload.as_bytes());
        record
    }

    /// The event of the record with the number `sequence`.
    ///
    /// # Errors
    ///
    /// When it is not just that record.
    pub fn from_record(record: &[u8], sequence: u64) -> Result<Self, Malformed> {
        let mut reader = Reader::new(record);
        let event = read_record(&mut reader, sequence)?;
        reader.finish("a record of the runtime log")?;
        Ok(event)
    }

    const fn kind(&self) -> u16 {
        match self {
            Self::Configuration(_) => 1,
            Self::Mode(_) => 2,
            Self::ClientAuthority(_) => 3,
            Self::Workload(_) => 4,
            Self::TlsKey(_) => 5,
            Self::BootEnd => 6,
            Self::ContainerStart(_) => 7,
            Self::Exec { .. } => 8,
            Self::ContentsChange { .. } => 9,
        }
    }
}

impl RuntimeRecord {
    /// What is appended to the log.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// What RTMR3 is extended with.
    #[must_use]
    pub fn digest(&self) -> Measurement {
        digest(self.as_bytes())
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes
            .get_mut(self.length..end)
            .expect("RECORD_LIMIT is the length of the longest record")
            .copy_from_slice(bytes);
        self.length = end;
    }

    fn push_digest(&mut self, digest: Option<&ImageDigest>) {
        let (algorithm, digest): (u8, &[u8]) = match digest {
            None => (0, &[]),
            Some(ImageDigest::Sha256(digest)) => (1, digest),
            Some(ImageDigest::Sha512(digest)) => (2, digest),
        };
        self.push(&[algorithm]);
        self.push(digest);
    }
}

impl Default for RuntimeRecord {
    fn default() -> Self {
        Self { bytes: [0; RECORD_LIMIT], length: 0 }
    }
}

impl core::fmt::Debug for RuntimeRecord {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_tuple("RuntimeRecord").field(&self.as_bytes()).finish()
    }
}

/// What RTMR3 is extended with for one record.
fn digest(record: &[u8]) -> Measurement {
    Sha384::new().chain_update(RECORD_TAG).chain_update(record).finalize().into()
}

/// For messages.
const FIELD: &str = "a record of the runtime log";

/// The record with the number `sequence`.
fn read_record(reader: &mut Reader<'_>, sequence: u64) -> Result<RuntimeEvent, Malformed> {
    let index = usize::try_from(sequence).unwrap_or(usize::MAX);
    if reader.u64(FIELD)? != sequence {
        return Err(Malformed::Event { index, reason: "its sequence number is not its place in the log" });
    }
    let kind = reader.u16(FIELD)?;
    let mut payload = Reader::new(reader.prefixed(FIELD)?);
    let event = match kind {
        1 => RuntimeEvent::Configuration(*payload.array(FIELD)?),
        2 => RuntimeEvent::Mode(match payload.u8(FIELD)? {
            1 => Mode::Open,
            2 => Mode::Sealed,
            _ => return Err(Malformed::Event { index, reason: "its mode is neither open nor sealed" }),
        }),
        3 => RuntimeEvent::ClientAuthority(*payload.array(FIELD)?),
        4 => RuntimeEvent::Workload(*payload.array(FIELD)?),
        5 => RuntimeEvent::TlsKey(*payload.array(FIELD)?),
        6 => RuntimeEvent::BootEnd,
        7 => RuntimeEvent::ContainerStart(ContainerStart {
            container: *payload.array(FIELD)?,
            image: read_digest(&mut payload, index)?
                .ok_or(Malformed::Event { index, reason: "its image has no digest" })?,
            manifest: read_digest(&mut payload, index)?,
            isolation: match payload.u8(FIELD)? {
                1 => Isolation::Confined,
                2 => Isolation::Exposed,
                _ => return Err(Malformed::Event { index, reason: "its isolation is not known" }),
            },
            configuration: *payload.array(FIELD)?,
        }),
        8 => RuntimeEvent::Exec { container: *payload.array(FIELD)?, process: *payload.array(FIELD)? },
        9 => RuntimeEvent::ContentsChange { container: *payload.array(FIELD)?, path: *payload.array(FIELD)? },
        _ => return Err(Malformed::Event { index, reason: "its kind is not known" }),
    };
    payload.finish(FIELD)?;
    Ok(event)
}

/// A digest behind its algorithm; 0 for none.
fn read_digest(payload: &mut Reader<'_>, index: usize) -> Result<Option<ImageDigest>, Malformed> {
    Ok(match payload.u8(FIELD)? {
        0 => None,
        1 => Some(ImageDigest::Sha256(*payload.array(FIELD)?)),
        2 => Some(ImageDigest::Sha512(*payload.array(FIELD)?)),
        _ => return Err(Malformed::Event { index, reason: "its image has an unknown kind of digest" }),
    })
}
