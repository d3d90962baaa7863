//! Finding functions: from the first bus on, through bridges as the firmware numbered them.

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8};

use super::bar::{self, Bar};
use super::config::{self, Access, Config};
use super::{Function, Location};

const HEADER_IS_MULTI: u8 = 0x80;
const HEADER_BRIDGE: u8 = 1;

/// Where BARs can go that the firmware left without an address: below the interrupt controllers and the firmware's flash.
const ASSIGNABLE: Range<usize> = 0x8000_0000..0xfe00_0000;
/// I/O APICs and local APICs: no BAR stands there.
const INTERRUPT_CONTROLLERS: Range<usize> = 0xfec0_0000..0xfef0_0000;

/// All functions that are wanted, but no bridges.
pub(super) fn all(is_wanted: &dyn Fn(&Function) -> bool) -> Vec<Function> {
    let mut scan = Scan { buses: Buses::of_machine(), is_wanted, seen: [false; 256], functions: Vec::new() };
    let first = scan.buses.first();
    scan.bus(first);
    let mut functions = scan.functions;
    refuse_bad_bars(&mut functions, &scan.buses);
    assign_missing_bars(&mut functions, &scan.buses);
    functions
}

struct Scan<'a> {
    buses: Buses,
    is_wanted: &'a dyn Fn(&Function) -> bool,
    seen: [bool; 256],
    functions: Vec<Function>,
}

impl Scan<'_> {
    fn bus(&mut self, first: u8) {
        // A list, not recursion: how deep bridges nest is the host's choice.
        let mut waiting = Vec::from([first]);
        while let Some(bus) = waiting.pop() {
            if core::mem::replace(&mut self.seen[usize::from(bus)], true) {
                continue;
            }
            let Some(at) = self.buses.open(bus) else { continue };
            for device in 0..32 {
                self.device(&at, bus, device, &mut waiting);
            }
        }
    }

    fn device(&mut self, at: &OpenBus, bus: u8, device: u8, bridges: &mut Vec<u8>) {
        for function in 0..8 {
            let location = Location { bus, device, function };
            let config = at.function(location);
            let is_there = !config.read_u16(config::VENDOR).is(0xffff);
            if is_there {
                match config.read_u8(config::HEADER_TYPE).claim() & !HEADER_IS_MULTI {
                    0 => self.functions.extend(new_function(location, config, self.is_wanted)),
                    HEADER_BRIDGE => bridges.push(config.read_u8(config::SECONDARY_BUS).claim()),
                    _ => {}
                }
            }
            let is_single = !config.read_u8(config::HEADER_TYPE).has(HEADER_IS_MULTI);
            if function == 0 && (!is_there || is_single) {
                return;
            }
        }
    }
}

fn new_function(
    location: Location,
    config: Access,
    is_wanted: &dyn Fn(&Function) -> bool,
) -> Option<Function> {
    let mut function = Function {
        location,
        config,
        bars: [None; 6],
        mapped: AtomicU8::new(0),
        has_msix: AtomicBool::new(false),
    };
    if !is_wanted(&function) {
        return None;
    }
    function.bars = bar::read_all(&function.config);
    Some(function)
}

/// Drops BARs that lie over RAM, over what the machine itself needs, or over each other: of two, the one found later.
fn refuse_bad_bars(functions: &mut [Function], buses: &Buses) {
    let mut taken: Vec<Range<usize>> = Vec::new();
    for function in functions {
        for slot in &mut function.bars {
            let Some(bar) = slot.filter(|bar| bar.address != 0) else { continue };
            match bar.range().filter(|range| !is_machine(range, buses) && !is_taken(range, &taken)) {
                Some(range) => taken.push(range),
                None => {
                    log::warn!("pci: {:?}: a BAR over memory or over another is ignored", function.location);
                    *slot = None;
                }
            }
        }
    }
}

/// Gives addresses to BARs on the first bus that the firmware left at 0. Behind bridges their windows would have to be moved as well; there
/// such BARs are dropped.
fn assign_missing_bars(functions: &mut [Function], buses: &Buses) {
    let taken = |functions: &[Function]| -> Vec<Range<usize>> {
        functions
            .iter()
            .flat_map(|f| f.bars.iter().flatten())
            .filter(|bar| bar.address != 0)
            .filter_map(Bar::range)
            .collect()
    };
    let mut ranges = taken(functions);
    for function in functions.iter_mut() {
        for index in 0..function.bars.len() {
            let Some(mut bar) = function.bars[index].filter(|bar| bar.address == 0) else { continue };
            // Whole pages, so that no two functions share one.
            let len = bar.len.max(crate::mm::PAGE_SIZE);
            let is_free = |range: &Range<usize>| is_machine(range, buses) || is_taken(range, &ranges);
            let place = if function.location.bus == buses.first() {
                bar::find_place(len, ASSIGNABLE, is_free)
            } else {
                None
            };
            function.bars[index] = place.map(|address| {
                bar::stop_decoding(&function.config);
                bar::assign(&function.config, index, &mut bar, address);
                ranges.push(address..address + len);
                bar
            });
        }
    }
}

fn is_taken(range: &Range<usize>, taken: &[Range<usize>]) -> bool {
    taken.iter().any(|other| bar::overlap(range, other))
}

fn is_machine(range: &Range<usize>, buses: &Buses) -> bool {
    crate::mm::ram::overlaps(range)
        || bar::overlap(range, &INTERRUPT_CONTROLLERS)
        || bar::overlap(range, &buses.range())
}

/// The configuration spaces of the machine's buses.
enum Buses {
    Ecam { address: usize, first: u8, last: u8 },
    Ports,
}

/// One bus's.
enum OpenBus {
    Mapped(usize),
    Ports,
}

impl Buses {
    fn of_machine() -> Self {
        #[cfg(target_os = "none")]
        if let Some(platform) = crate::arch::boot::platform() {
            // Locations have no segment number, and no machine that we know puts devices anywhere but in segment 0.
            let ecam = platform
                .ecam
                .as_slice()
                .iter()
                .find(|ecam| ecam.segment == 0 && ecam.first_bus <= ecam.last_bus);
            if let Some(ecam) = ecam {
                let (first, last) = (ecam.first_bus, ecam.last_bus);
                return Self::Ecam { address: ecam.address as usize, first, last };
            }
        }
        Self::Ports
    }

    fn first(&self) -> u8 {
        match self {
            Self::Ecam { first, .. } => *first,
            Self::Ports => 0,
        }
    }

    /// The physical addresses that it takes.
    fn range(&self) -> Range<usize> {
        match *self {
            Self::Ecam { address, first, last } => {
                let start = address.saturating_add(usize::from(first) << 20);
                start..address.saturating_add((usize::from(last) + 1) << 20)
            }
            Self::Ports => 0..0,
        }
    }

    fn open(&self, bus: u8) -> Option<OpenBus> {
        match *self {
            Self::Ports => Some(OpenBus::Ports),
            Self::Ecam { address, first, last } => {
                if !(first..=last).contains(&bus) {
                    return None;
                }
                map_bus(address.checked_add(usize::from(bus) << 20)?).map(OpenBus::Mapped)
            }
        }
    }
}

impl OpenBus {
    fn function(&self, at: Location) -> Access {
        match self {
            Self::Mapped(base) => {
                Access::Mapped(base + (usize::from(at.device) << 15) + (usize::from(at.function) << 12))
            }
            Self::Ports => Access::Ports(at),
        }
    }
}

fn map_bus(address: usize) -> Option<usize> {
    #[cfg(target_os = "none")]
    {
        crate::mm::kspace::map_mmio(address, 1 << 20).ok()
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = address;
        None
    }
}
