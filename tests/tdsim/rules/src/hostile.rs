//! A hostile host, by a seed: which of its answers are lies, and what lies they are.
//!
//! Nothing here breaks a rule of the module: a host can refuse, answer nonsense, write to shared memory and send or withhold interrupts. It
//! cannot change private memory, the time stamp counter, or what the module answers by itself.

/// What a host can do to its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nonsense from Instruction.CPUID.
    Cpuid,
    /// Nonsense from Instruction.RDMSR.
    Register,
    /// Nonsense from a port that is not PCI's.
    Port,
    /// Nonsense from the configuration of PCI.
    Pci,
    /// Nonsense from a device's register.
    Device,
    /// A status that refuses, or that means nothing.
    Status,
    /// MapGPA refuses.
    MapRefusal,
    /// MapGPA wants to be called again from anywhere.
    MapRetry,
    /// A quote of another length, up to far beyond the buffer.
    QuoteLength,
    /// A quote that failed, or a status that means nothing.
    QuoteStatus,
    /// A quote that never comes.
    QuoteLost,
    /// An interrupt that nobody sent.
    SpuriousInterrupt,
    /// An interrupt that gets lost while the guest waits.
    LostInterrupt,
    /// A change where the guest and a device have a queue.
    Queue,
    /// A change anywhere in shared memory.
    Shared,
    /// A change in the ACPI tables, before the guest starts.
    Acpi,
}

/// Name, and how many opportunities there are on average for one fault, in units of the host's period.
const TABLE: [(Fault, &str, u64); 16] = [
    (Fault::Cpuid, "cpuid", 1),
    (Fault::Register, "register", 8),
    (Fault::Port, "port", 64),
    (Fault::Pci, "pci", 32),
    (Fault::Device, "device", 16),
    (Fault::Status, "status", 512),
    (Fault::MapRefusal, "map-refusal", 8),
    (Fault::MapRetry, "map-retry", 2),
    (Fault::QuoteLength, "quote-length", 1),
    (Fault::QuoteStatus, "quote-status", 1),
    (Fault::QuoteLost, "quote-lost", 2),
    (Fault::SpuriousInterrupt, "spurious-interrupt", 512),
    (Fault::LostInterrupt, "lost-interrupt", 32),
    (Fault::Queue, "queue", 256),
    (Fault::Shared, "shared", 512),
    (Fault::Acpi, "acpi", 4096),
];

impl Fault {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(fault, ..)| *fault)
    }

    /// As it is named on command lines and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its bit in a set of faults.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    fn row(self) -> &'static (Self, &'static str, u64) {
        // Every fault has its row: see the test.
        TABLE.iter().find(|(fault, ..)| *fault == self).unwrap_or(&TABLE[0])
    }
}

/// A host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    state: u64,
    faults: u64,
    period: u64,
    counts: [u32; TABLE.len()],
}

impl Host {
    /// One that makes these faults; more of them the smaller the period is. `None` for seed 0: a friendly one.
    #[must_use]
    pub const fn new(seed: u64, faults: u64, period: u64) -> Option<Self> {
        if seed == 0 {
            return None;
        }
        // Neighbouring seeds must not begin alike.
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Some(Self { state, faults, period: if period == 0 { 1 } else { period }, counts: [0; TABLE.len()] })
    }

    /// An opportunity for a fault: whether it is taken, and a random number to make it with.
    pub fn strikes(&mut self, fault: Fault) -> Option<u64> {
        let (_, _, opportunities) = fault.row();
        if self.faults & fault.bit() == 0 || !self.number().is_multiple_of(opportunities * self.period) {
            return None;
        }
        if let Some(count) = self.counts.get_mut(fault as usize) {
            *count += 1;
        }
        Some(self.number())
    }

    /// How many faults of each kind it has made.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u32)> {
        TABLE
            .iter()
            .zip(self.counts)
            .map(|((_, name, _), count)| (*name, count))
            .filter(|(_, count)| *count > 0)
    }

    /// How many faults it has made.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// A random number (xorshift64*, Vigna 2016).
    pub const fn number(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        // The upper bits are the better ones.
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_right(32)
    }
}

/// A value that is likely to be mishandled: near a limit, or nothing but noise.
#[must_use]
pub const fn odd_value(random: u64, true_value: u64) -> u64 {
    match random >> 60 {
        0 => 0,
        1 | 2 => u64::MAX,
        3 => true_value.wrapping_add(1),
        4 => true_value.wrapping_sub(1),
        5..8 => true_value ^ 1 << (random & 63),
        8 => 1 << (random & 63),
        9 => (1 << (random & 63)) - 1,
        _ => random,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Host, TABLE};

    #[test]
    fn a_seed_is_repeatable_and_its_own() {
        let strikes = |seed| {
            let mut host = Host::new(seed, u64::MAX, 1).unwrap();
            core::array::from_fn::<_, 64, _>(|_| host.strikes(Fault::Device))
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
        assert!(Host::new(0, u64::MAX, 1).is_none());
    }

    #[test]
    fn faults_are_as_frequent_as_the_table_says() {
        let mut host = Host::new(7, u64::MAX, 4).unwrap();
        let struck = (0..64_000).filter(|_| host.strikes(Fault::Device).is_some()).count();
        assert!((800..1200).contains(&struck), "{struck}");
        let mut tame = Host::new(7, Fault::Pci.bit(), 1).unwrap();
        assert!((0..1000).all(|_| tame.strikes(Fault::Device).is_none()));
    }

    #[test]
    fn every_fault_has_its_row_and_bit() {
        assert!(Fault::all().all(|fault| fault.row().0 == fault));
        assert_eq!(Fault::all().fold(0, |set, fault| set | fault.bit()), (1 << TABLE.len()) - 1);
    }
}
