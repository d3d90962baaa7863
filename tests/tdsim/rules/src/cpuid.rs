//! CPUID: which leaves the module answers itself, and what with. All others trap into the guest.

/// EAX, EBX, ECX, EDX.
pub type Registers = [u32; 4];

/// How a leaf is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// As the processor does, after [`masked`].
    Processor,
    /// All zero: the module shows nothing there.
    Zero,
    /// By these.
    Fixed(Registers),
}

/// The last leaf below 0x8000_0000.
pub const LAST_BASIC: u32 = 0x23;
/// The last leaf from 0x8000_0000.
pub const LAST_EXTENDED: u32 = 0x8000_0008;
/// The crystal's frequency: TDX fixes it.
pub const CRYSTAL_HZ: u32 = 25_000_000;

/// "IntelTDX    ".
pub const TDX_LEAF: Registers = [0, 0x6574_6E49, 0x2020_2020, 0x5844_546C];
/// "GenuineIntel" with the last leaf in front.
const VENDOR: Registers = [LAST_BASIC, 0x756E_6547, 0x6C65_746E, 0x4965_6E69];

/// First leaf, last leaf, source; leaves that are not in the table trap.
const TABLE: [(u32, u32, Source); 20] = [
    (0, 0, Source::Fixed(VENDOR)),
    (1, 1, Source::Processor),
    (3, 3, Source::Zero),
    (4, 4, Source::Processor),
    (5, 5, Source::Zero),
    (7, 7, Source::Processor),
    (8, 8, Source::Zero),
    (0xA, 0xA, Source::Zero),
    (0xD, 0xD, Source::Processor),
    (0xE, 0xE, Source::Zero),
    (0x11, 0x14, Source::Zero),
    (0x15, 0x15, Source::Processor),
    (0x19, 0x19, Source::Zero),
    (0x1C, 0x1E, Source::Zero),
    (0x20, 0x20, Source::Zero),
    (0x21, 0x21, Source::Fixed(TDX_LEAF)),
    (0x22, 0x23, Source::Zero),
    (0x8000_0000, 0x8000_0000, Source::Fixed([LAST_EXTENDED, 0, 0, 0])),
    (0x8000_0001, 0x8000_0001, Source::Processor),
    (0x8000_0007, 0x8000_0008, Source::Processor),
];

/// How the module answers; `None` is a virtualisation exception.
#[must_use]
pub fn source(leaf: u32) -> Option<Source> {
    // Hypervisors' leaves are not beyond the last one: they are for the VMM.
    let is_beyond = (LAST_BASIC + 1..0x4000_0000).contains(&leaf)
        || (0x5000_0000..0x8000_0000).contains(&leaf)
        || leaf > LAST_EXTENDED;
    let leaf = if is_beyond { LAST_BASIC } else { leaf };
    TABLE.iter().find(|(first, last, _)| (*first..=*last).contains(&leaf)).map(|(_, _, source)| *source)
}

/// What is known of the virtual processor that asks.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// Its number.
    pub index: u32,
    /// How many there are.
    pub count: u32,
    /// Features that may be enabled in XCR0 and XSS.
    pub xfam: u64,
    /// Its time stamp counter, in crystals.
    pub tsc_ratio: u32,
}

/// Clears and sets what a trust domain sees otherwise than the processor says.
#[must_use]
pub fn masked(leaf: u32, subleaf: u32, native: Registers, processor: &Processor) -> Registers {
    let [eax, ebx, ecx, edx] = native;
    match leaf {
        1 => {
            // Absent: MONITOR, VMX, SMX, SDBG. Present: x2APIC, hypervisor.
            let ecx = ecx & !(1 << 3 | 1 << 5 | 1 << 6 | 1 << 11) | 1 << 21 | 1 << 31;
            // Always: MCE, MTRR, MCA, PAT.
            let edx = edx | 1 << 7 | 1 << 12 | 1 << 14 | 1 << 16;
            // Family 6, model 0x8f: Sapphire Rapids.
            [0x000806f8, ebx & 0xffff | processor.count << 16 | processor.index << 24, ecx, edx]
        }
        // Absent: SGX, MPX; and what only a processor of the other vendor would say. Present: RDSEED, which the module does.
        7 if subleaf == 0 => [eax, ebx & !(1 << 2 | 1 << 14) | 1 << 18, ecx & !(1 << 30), edx | 1 << 29],
        0xD if subleaf == 0 => [eax & low(processor.xfam), ebx, ecx, edx & high(processor.xfam)],
        0x15 => [1, processor.tsc_ratio, CRYSTAL_HZ, 0],
        // Left: LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
        0x8000_0001 => {
            [0, 0, ecx & (1 | 1 << 5 | 1 << 8), edx & (1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29)]
        }
        0x8000_0007 => [0, 0, 0, 1 << 8],
        0x8000_0008 => [eax & 0xffff, 0, 0, 0],
        _ => native,
    }
}

const fn low(value: u64) -> u32 {
    value as u32
}

const fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{Processor, Source, TDX_LEAF, masked, source};

    #[test]
    fn leaves_trap_that_are_not_in_the_table() {
        for leaf in
            [2, 6, 9, 0xB, 0xF, 0x10, 0x16, 0x18, 0x1F, 0x4000_0000, 0x4fff_ffff, 0x8000_0002, 0x8000_0006]
        {
            assert_eq!(source(leaf), None, "{leaf:#x}");
        }
        for leaf in [0, 1, 4, 7, 0xD, 0x15, 0x21, 0x8000_0000, 0x8000_0008] {
            assert!(source(leaf).is_some(), "{leaf:#x}");
        }
    }

    #[test]
    fn leaves_beyond_the_last_are_the_last() {
        assert_eq!(source(0x24), Some(Source::Zero));
        assert_eq!(source(0x8000_0009), Some(Source::Zero));
        assert_eq!(source(0x7fff_ffff), Some(Source::Zero));
        assert_eq!(source(0x21), Some(Source::Fixed(TDX_LEAF)));
    }

    #[test]
    fn a_domain_does_not_see_virtualisation() {
        let processor = Processor { index: 1, count: 2, xfam: 7, tsc_ratio: 104 };
        let [_, ebx, ecx, _] = masked(1, 0, [0, 0, u32::MAX, 0], &processor);
        assert_eq!((ebx >> 24, ecx & 1 << 5, ecx >> 31), (1, 0, 1));
        assert_eq!(masked(0x8000_0001, 0, [0, 0, 4, 0], &processor)[2], 0);
        assert_eq!(masked(0x15, 0, [0; 4], &processor), [1, 104, 25_000_000, 0]);
    }
}
