//! The hostile host at work: what it strikes with, at whose turn.

use core::sync::atomic::{AtomicBool, Ordering};

use coffer_tdsim_rules::hostile::{Fault, Host, odd_value};
use coffer_tdsim_rules::layout::PAGE;
use coffer_tdsim_rules::page::State;
use spin::Mutex;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{apic, console, memory, npt};

/// The host, and where it has seen queues.
#[derive(Debug)]
pub struct Hostile {
    host: Mutex<Option<Host>>,
    is_friendly_yet: AtomicBool,
    queues: Mutex<Queues>,
}

/// Addresses that the guest gave to devices, the last ones.
#[derive(Debug)]
struct Queues {
    pages: [u64; 16],
    count: usize,
}

impl Hostile {
    /// As the host side wants it.
    pub const fn new(seed: u64, (faults, period): (u64, u64), is_friendly_first: bool) -> Self {
        let host = Mutex::new(Host::new(seed, faults, period));
        let is_friendly_yet = AtomicBool::new(is_friendly_first);
        Self { host, is_friendly_yet, queues: Mutex::new(Queues { pages: [0; 16], count: 0 }) }
    }

    /// Whether it is still waiting to become hostile.
    pub fn is_friendly_yet(&self) -> bool {
        self.is_friendly_yet.load(Ordering::Relaxed)
    }

    /// From here on it is hostile.
    pub fn turn(&self) {
        self.is_friendly_yet.store(false, Ordering::Relaxed);
        console::say(format_args!("the host turns hostile"));
    }

    /// An opportunity. Now and then the number of those that were taken is told: the run may be ended from outside.
    pub fn strikes(&self, fault: Fault) -> Option<u64> {
        const TOLD_EVERY: u32 = 25;
        if self.is_friendly_yet() {
            return None;
        }
        let mut guard = self.host.lock();
        let host = guard.as_mut()?;
        let random = host.strikes(fault)?;
        let total = host.total();
        if total.is_multiple_of(TOLD_EVERY) {
            console::say(format_args!("{total} faults: so far"));
        }
        Some(random)
    }

    /// Says what it has done.
    pub fn report(&self) {
        let Some(host) = *self.host.lock() else { return };
        console::say(format_args!("{} faults: {}", host.total(), Counts(host)));
    }

    /// A value that the guest reads: the true one, or another.
    pub fn value(&self, fault: Fault, true_value: u64) -> u64 {
        self.strikes(fault).map_or(true_value, |random| odd_value(random, true_value))
    }

    /// The guest wrote this to a device: the address of a queue, perhaps.
    pub fn note_address(&self, td: &Td, value: u64) {
        if self.host.lock().is_none() || td.state(value) != Some(State::Shared) {
            return;
        }
        let mut queues = self.queues.lock();
        let at = queues.count % queues.pages.len();
        queues.pages[at] = value;
        queues.count += 1;
    }
}

/// Kinds of faults with their numbers.
struct Counts(Host);

impl core::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        self.0.counts().try_for_each(|(name, count)| write!(formatter, "{name} {count} "))
    }
}

/// After each exit: shared memory changes, interrupts come.
pub fn disturb(td: &Td, vcpu: &Vcpu) {
    if let Some(random) = td.hostile.strikes(Fault::SpuriousInterrupt) {
        const FIRST: u64 = 32;
        /// The last one is usually the APIC's own, which guests treat in a way of its own.
        const LAST: u64 = 255;
        let vector = if random & 7 == 0 { LAST } else { FIRST + (random >> 3) % (LAST - FIRST) };
        apic::send(vcpu.index as u32, vector as u32);
    }
    if let Some(random) = td.hostile.strikes(Fault::Queue) {
        let queues = td.hostile.queues.lock();
        let known = queues.count.min(queues.pages.len());
        if known > 0 {
            let start = queues.pages[random as usize % known];
            // Descriptors, or one of the rings: what matters is in the first bytes.
            change(td, start + (random >> 8 & 0x1f8), random);
        }
    }
    if let Some(random) = td.hostile.strikes(Fault::Shared) {
        let pages = td.header.memory.pages() as u64;
        let page = (0..256).map(|step| (random + step * 977) % pages).find(|page| {
            let gpa = npt::gpa_of(&td.header.memory, *page as usize);
            td.state(gpa) == Some(State::Shared)
        });
        if let Some(page) = page {
            change(td, npt::gpa_of(&td.header.memory, page as usize) + (random >> 20 & 0xff8), random);
        }
    }
}

/// Changes eight bytes of shared memory, if they are.
fn change(td: &Td, gpa: u64, random: u64) {
    let gpa = gpa & !7;
    if td.state(gpa) == Some(State::Shared) && gpa % PAGE <= PAGE - 8 {
        let old = memory::read_u64(gpa);
        memory::write_u64(gpa, odd_value(random.rotate_left(17), old));
    }
}

/// Changes tables before the guest sees them.
pub fn disturb_tables(td: &Td, tables: &mut [u8]) {
    for byte in tables.iter_mut().filter(|byte| **byte != 0) {
        if let Some(random) = td.hostile.strikes(Fault::Acpi) {
            *byte = random as u8;
        }
    }
}
