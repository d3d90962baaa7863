//! [`EventLogWriter`]: writes a firmware's log (TCG PC Client Platform Firmware Profile, "Crypto agile log format"; the area that CCEL points to).

/// EV_NO_ACTION, the kind of the header.
const NO_ACTION: u32 = 3;

/// SHA-384 in the TCG's registry, and the length of its digests.
pub const SHA384: (u16, u16) = (0x0c, 48);

/// A log that is being written. Registers have the numbers that they have there: 1 for RTMR0.
#[derive(Clone, Debug)]
pub struct EventLogWriter(Vec<u8>);

impl EventLogWriter {
    /// Begins one, by the header in the form of TPM 1.2: it names a register, which means nothing, and the algorithms of digests with their lengths.
    #[must_use]
    pub fn new(register: u32, algorithms: &[(u16, u16)]) -> Self {
        let mut specification = b"Spec ID Event03\0".to_vec();
        // Platform class; minor and major version, errata, size of a native number in 32 bits.
        specification.extend([0, 0, 0, 0, 0, 2, 105, 2]);
        specification.extend(length(algorithms.len()));
        for (algorithm, size) in algorithms {
            specification.extend(algorithm.to_le_bytes());
            specification.extend(size.to_le_bytes());
        }
        // No vendor's information.
        specification.push(0);

        let mut log = [register.to_le_bytes(), NO_ACTION.to_le_bytes()].concat();
        log.extend([0; 20]);
        log.extend(length(specification.len()));
        log.extend(specification);
        Self(log)
    }

    /// Adds an event with a SHA-384 digest, whatever of.
    #[must_use]
    pub fn event(mut self, register: u32, kind: u32, digest: &[u8; 48], data: &[u8]) -> Self {
        let log = &mut self.0;
        log.extend(register.to_le_bytes());
        log.extend(kind.to_le_bytes());
        log.extend(length(1));
        log.extend(SHA384.0.to_le_bytes());
        log.extend(digest);
        log.extend(length(data.len()));
        log.extend(data);
        self
    }

    /// The log's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
