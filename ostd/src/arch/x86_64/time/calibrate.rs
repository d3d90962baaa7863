//! How fast TSC and APIC timer run: as CPUID or the hypervisor says, else measured against the ACPI PM timer or the 8254.

use super::tsc;
use crate::acpi::Platform;
use crate::arch::{apic, cpuid, port};
use crate::tdx;

/// Frequencies in Hz.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frequencies {
    pub tsc: u64,
    /// 0 if the APIC timer takes TSC deadlines, so that nobody needs its own.
    pub apic_timer: u64,
}

/// How long to measure. The error is about one port read in this time: 1 us in 5 ms is 200 ppm at worst, and typically
/// a tenth of that, because the read with the smallest window counts.
const MEASURE_MS: u64 = 5;
/// A plausible TSC runs at 100 MHz to 20 GHz; anything else is a lie or a misreading.
const PLAUSIBLE_HZ: core::ops::Range<u64> = 100_000_000..20_000_000_000;

/// Finds the frequencies. The APIC must be on.
///
/// # Errors
/// Says that no reference runs.
pub(crate) fn run(platform: &Platform) -> Result<Frequencies, &'static str> {
    let known = known_tsc_hz().filter(|hz| PLAUSIBLE_HZ.contains(hz));
    if let Some(tsc) = known
        && cpuid::has_tsc_deadline()
    {
        return Ok(Frequencies { tsc, apic_timer: 0 });
    }
    if tdx::is_active() {
        // The module fixes both: its crystal clock drives the APIC timer too. What the host's clocks say is worth nothing.
        let tsc = known.ok_or("CPUID names no TSC frequency")?;
        return Ok(Frequencies { tsc, apic_timer: cpuid::leaf(0x15, 0).ecx.into() });
    }
    let pm_timer = platform.fadt.and_then(|fadt| fadt.pm_timer).map(Reference::PmTimer);
    let measured =
        pm_timer.and_then(measure).or_else(|| measure(Reference::Pit)).ok_or("no time reference runs")?;
    let tsc = known.unwrap_or(measured.tsc);
    let apic_timer = if cpuid::has_tsc_deadline() { 0 } else { measured.apic_timer };
    Ok(Frequencies { tsc, apic_timer })
}

/// CPUID 0x15 and 0x16 (SDM vol. 2, CPUID), or leaf 0x40000010 of KVM, VMware and others.
fn known_tsc_hz() -> Option<u64> {
    let ratio = cpuid::leaf(0x15, 0);
    if ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0 {
        return Some(u64::from(ratio.ecx) * u64::from(ratio.ebx) / u64::from(ratio.eax));
    }
    // 0x16 alone is the marketing frequency, off by up to a percent: measuring is better.
    Some(u64::from(cpuid::leaf(0x4000_0010, 0).eax) * 1000).filter(|hz| *hz != 0)
}

/// A counter of known speed, read by ports.
#[derive(Clone, Copy)]
enum Reference {
    PmTimer(u16),
    Pit,
}

const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const PIT_GATE: u16 = 0x61;

impl Reference {
    fn hz(self) -> u64 {
        match self {
            Self::PmTimer(_) => 3_579_545,
            Self::Pit => 1_193_182,
        }
    }

    /// Ticks passed between two readings.
    fn elapsed(self, from: u32, to: u32) -> u64 {
        let mask = match self {
            Self::PmTimer(_) => 0x00ff_ffff,
            Self::Pit => 0xffff,
        };
        u64::from(to.wrapping_sub(from) & mask)
    }

    fn start(self) {
        if matches!(self, Self::Pit) {
            let gate = inb(PIT_GATE);
            outb(PIT_GATE, gate & !2 | 1); // gate on, speaker off
            outb(PIT_COMMAND, 0xb4); // channel 2, both bytes, rate generator
            outb(PIT_CHANNEL_2, 0);
            outb(PIT_CHANNEL_2, 0); // 65536
        }
    }

    fn read(self) -> u32 {
        match self {
            // SAFETY: reading the PM timer's port, as the FADT names it, has no effect.
            Self::PmTimer(at) => unsafe { port::read(at) }.claim(),
            Self::Pit => {
                outb(PIT_COMMAND, 0x80); // latch
                let low = u32::from(inb(PIT_CHANNEL_2));
                (low | u32::from(inb(PIT_CHANNEL_2)) << 8).wrapping_neg()
            }
        }
    }
}

fn outb(at: u16, value: u8) {
    // SAFETY: only called with the 8254's ports, which affect no memory.
    unsafe { port::write(at, value) }
}

fn inb(at: u16) -> u8 {
    // SAFETY: only called with the 8254's ports, which affect no memory.
    unsafe { port::read(at) }.claim()
}

fn measure(reference: Reference) -> Option<Frequencies> {
    let wanted = reference.hz() * MEASURE_MS / 1000;
    reference.start();
    apic::start_timer_count();
    let (tsc_from, reference_from) = sample(&|| reference.read());
    let (apic_tsc_from, apic_from) = sample(&apic::timer_count);
    // A counter that stands still must not hang the boot: at 3 GHz this is 130 ms.
    const PATIENCE_TICKS: u64 = PLAUSIBLE_HZ.end * 4 * MEASURE_MS / 1000;
    while reference.elapsed(reference_from, reference.read()) < wanted {
        if tsc() - tsc_from > PATIENCE_TICKS {
            return None;
        }
    }
    let (tsc_to, reference_to) = sample(&|| reference.read());
    let (apic_tsc_to, apic_to) = sample(&apic::timer_count);

    let ticks = reference.elapsed(reference_from, reference_to);
    let tsc = (tsc_to - tsc_from) * reference.hz() / ticks;
    let apic_span = apic_tsc_to.checked_sub(apic_tsc_from).filter(|span| *span > 0)?;
    let apic_timer = u64::from(apic_to - apic_from) * tsc / apic_span;
    PLAUSIBLE_HZ.contains(&tsc).then_some(Frequencies { tsc, apic_timer })
}

/// Reads a counter with the TSC at that moment: the tightest of a few tries.
fn sample(read: &dyn Fn() -> u32) -> (u64, u32) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..4 {
        let before = tsc();
        let value = read();
        let window = tsc() - before;
        if window < best.0 {
            best = (window, before + window / 2, value);
        }
    }
    (best.1, best.2)
}
