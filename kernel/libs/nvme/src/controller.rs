//! Controller properties (Base Specification, 3.1.3), and how a controller is stopped and started (3.5).

/// The page size that controllers are told: the smallest that there is.
pub const PAGE: usize = 4096;

const CAPABILITIES: usize = 0x00;
const CONFIGURATION: usize = 0x14;
const STATUS: usize = 0x1c;
const ADMIN_ATTRIBUTES: usize = 0x24;
const ADMIN_SUBMISSION: usize = 0x28;
const ADMIN_COMPLETION: usize = 0x30;
const DOORBELLS: usize = 0x1000;

const ENABLE: u32 = 1;
/// Entries of 2⁶ and 2⁴ bytes, pages of 4 KiB, the NVM command set, round robin.
const SIZES: u32 = 6 << 16 | 4 << 20;
const READY: u32 = 1;
const FATAL: u32 = 2;
/// What reads of a device that is not there any more give.
const GONE: u32 = u32::MAX;

/// Unit of CAP.TO.
const TIMEOUT_UNIT_MS: u64 = 500;
/// What a controller gets at least, and at most: it may claim two minutes.
const TIMEOUTS_MS: core::ops::RangeInclusive<u64> = 1_000..=20_000;

/// A controller's registers. Offsets are aligned; those from 0x1000 on are doorbells.
pub trait Registers {
    /// Reads four bytes.
    fn read_u32(&self, offset: usize) -> u32;
    /// Writes four bytes.
    fn write_u32(&self, offset: usize, value: u32);
    /// Whether there are four bytes at `offset`.
    fn has(&self, offset: usize) -> bool;
}

/// Time, for waiting.
pub trait Clock {
    /// Milliseconds since some moment.
    fn now_ms(&self) -> u64;
    /// Lets a little time pass.
    fn pause(&self);
}

/// Why a controller cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not do what this driver needs: 4 KiB pages, the NVM command set, queues of two entries, doorbells in its BAR.
    Unsupported,
    /// It did not become ready, or unready, in time.
    Timeout,
    /// It says that it has failed, or is gone.
    Failed,
}

/// What a controller says it can do, bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Entries in a queue at most, at least 2.
    pub entries: u32,
    /// How long a change of state may take.
    pub timeout_ms: u64,
    /// Bytes from a doorbell to the next.
    stride: usize,
}

impl Capabilities {
    fn read(registers: &impl Registers) -> Result<Self, Fault> {
        let low = registers.read_u32(CAPABILITIES);
        let high = registers.read_u32(CAPABILITIES + 4);
        if low == GONE && high == GONE {
            return Err(Fault::Failed);
        }
        let capabilities = u64::from(high) << 32 | u64::from(low);
        let field = |shift: u32, bits: u32| capabilities >> shift & ((1 << bits) - 1);
        let entries = field(0, 16) as u32 + 1;
        let has_nvm_commands = field(37, 1) != 0;
        // MPSMIN: the smallest page, as a power of two over 4 KiB.
        if entries < 2 || !has_nvm_commands || field(48, 4) != 0 {
            return Err(Fault::Unsupported);
        }
        Ok(Self {
            entries,
            timeout_ms: (field(24, 8) * TIMEOUT_UNIT_MS).clamp(*TIMEOUTS_MS.start(), *TIMEOUTS_MS.end()),
            stride: 4 << field(32, 4),
        })
    }
}

/// A controller behind its registers.
#[derive(Debug)]
pub struct Controller<R> {
    registers: R,
    capabilities: Capabilities,
}

impl<R: Registers> Controller<R> {
    /// Looks at what the controller can do; it is neither stopped nor started.
    ///
    /// # Errors
    /// [`Fault::Unsupported`], or [`Fault::Failed`] if it is not there.
    pub fn new(registers: R) -> Result<Self, Fault> {
        let capabilities = Capabilities::read(&registers)?;
        Ok(Self { registers, capabilities })
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Stops it: afterwards it does not touch memory, and has forgotten its queues.
    ///
    /// # Errors
    /// [`Fault::Timeout`] or [`Fault::Failed`]: then it may still be writing to memory that it was given.
    pub fn stop(&self, clock: &impl Clock) -> Result<(), Fault> {
        let configuration = self.registers.read_u32(CONFIGURATION);
        if configuration & ENABLE != 0 {
            self.registers.write_u32(CONFIGURATION, configuration & !ENABLE);
        }
        // A controller that has failed is stopped like any other; that is how it recovers.
        self.wait(clock, |status| status & READY == 0)
    }

    /// Starts a stopped one with its admin queues, of `entries` each.
    ///
    /// # Errors
    /// [`Fault`]; it is stopped then, or past help.
    pub fn start(
        &self,
        clock: &impl Clock,
        entries: u16,
        submissions: u64,
        completions: u64,
    ) -> Result<(), Fault> {
        let last = u32::from(entries.saturating_sub(1));
        self.registers.write_u32(ADMIN_ATTRIBUTES, last << 16 | last);
        self.write_address(ADMIN_SUBMISSION, submissions);
        self.write_address(ADMIN_COMPLETION, completions);
        self.registers.write_u32(CONFIGURATION, SIZES | ENABLE);
        let started = self
            .wait(clock, |status| status & READY != 0)
            .and_then(|()| if self.has_failed() { Err(Fault::Failed) } else { Ok(()) });
        if started.is_err() {
            let _ = self.stop(clock);
        }
        started
    }

    /// Whether it says that it has failed, or is gone.
    pub fn has_failed(&self) -> bool {
        self.registers.read_u32(STATUS) & FATAL != 0
    }

    /// Checks that queue `id` has doorbells.
    ///
    /// # Errors
    /// [`Fault::Unsupported`].
    pub fn check_doorbells(&self, id: u16) -> Result<(), Fault> {
        let has_both = [0, 1].into_iter().all(|which| self.registers.has(self.doorbell(id, which)));
        if has_both { Ok(()) } else { Err(Fault::Unsupported) }
    }

    /// Tells of new commands in queue `id`, whose doorbells were checked.
    pub fn ring_submissions(&self, id: u16, tail: u16) {
        self.registers.write_u32(self.doorbell(id, 0), u32::from(tail));
    }

    /// Tells of completions that were taken from queue `id`, whose doorbells were checked.
    pub fn ring_completions(&self, id: u16, head: u16) {
        self.registers.write_u32(self.doorbell(id, 1), u32::from(head));
    }

    /// 2¹⁷ doorbells of 2¹⁷ bytes at most: no overflow.
    fn doorbell(&self, id: u16, which: usize) -> usize {
        DOORBELLS + (2 * usize::from(id) + which) * self.capabilities.stride
    }

    fn write_address(&self, offset: usize, address: u64) {
        self.registers.write_u32(offset, address as u32);
        self.registers.write_u32(offset + 4, (address >> 32) as u32);
    }

    fn wait(&self, clock: &impl Clock, is_there: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let deadline = clock.now_ms().saturating_add(self.capabilities.timeout_ms);
        loop {
            let status = self.registers.read_u32(STATUS);
            if status == GONE {
                return Err(Fault::Failed);
            }
            if is_there(status) {
                return Ok(());
            }
            if clock.now_ms() >= deadline {
                return Err(Fault::Timeout);
            }
            clock.pause();
        }
    }
}
