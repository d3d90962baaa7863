//! The trust domain: what it was given, and the states of its pages.

use coffer_tdsim_rules::layout::PAGE;
use coffer_tdsim_rules::pack::{Flags, Header};
use coffer_tdsim_rules::page::{Accepted, Pages, Size, State};
use spin::Mutex;

use crate::hostile::Hostile;
use crate::npt::{self, NestedTables};
use crate::vcpu::Vcpu;
use crate::{memory, smp};

/// The most processors: flat logical destinations have 8 bits.
pub const MAX_CPUS: usize = 8;

/// A trust domain.
#[derive(Debug)]
pub struct Td {
    /// What the host side asked for.
    pub header: Header,
    /// The file that it came in.
    pub pack: &'static [u8],
    /// Time stamp counter against crystal.
    pub tsc_ratio: u32,
    /// Pages and the tables that map them.
    pub mapping: Mutex<Mapping>,
    /// RTMR0 to RTMR3.
    pub rtmr: Mutex<[[u8; 48]; 4]>,
    /// With which reports are authenticated: of this run.
    pub mac_key: [u8; 32],
    /// Processors that have not been taken yet.
    pub vcpus: [Mutex<Option<Vcpu>>; MAX_CPUS],
    /// What the host does to it.
    pub hostile: Hostile,
    /// What calls to the VMM need to keep.
    pub vmm: crate::vmcall::Vmm,
}

/// Page states, and tables that follow them.
#[derive(Debug)]
pub struct Mapping {
    /// States.
    pub pages: Pages<'static>,
    /// Tables.
    pub tables: NestedTables,
}

impl Td {
    /// The bit that makes an address the shared one.
    pub fn shared_bit(&self) -> u64 {
        1 << (self.header.gpaw - 1)
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u64) -> bool {
        self.header.flags & flag != 0
    }

    /// Whether each exit is to be told.
    pub fn is_traced(&self) -> bool {
        self.has(Flags::TRACE)
    }

    /// A processor, once.
    pub fn take_vcpu(&self, number: usize) -> Vcpu {
        self.vcpus.get(number).and_then(|vcpu| vcpu.lock().take()).expect("each processor starts once")
    }

    /// The state of the page at a guest address without the shared bit, if that is memory.
    pub fn state(&self, gpa: u64) -> Option<State> {
        self.header.memory.page(gpa).map(|page| self.mapping.lock().pages.state(page))
    }

    /// Where the bytes at a guest address are, as the guest sees them: private or shared by the address' bit.
    pub fn backing(&self, gpa: u64) -> Option<u64> {
        let plain = gpa & !self.shared_bit();
        let is_shared = plain != gpa;
        match self.state(plain)? {
            State::Private if !is_shared => self.header.memory.private(plain),
            State::Shared if is_shared => Some(plain),
            _ => None,
        }
    }

    /// The guest accepts.
    pub fn accept(&self, gpa: u64, size: Size) -> Accepted {
        let Some(page) = self.header.memory.page(gpa) else { return Accepted::Violation };
        let mut mapping = self.mapping.lock();
        let Mapping { pages, tables } = &mut *mapping;
        let accepted = pages.accept(page, size);
        if accepted == Accepted::Done {
            for page in page..page + size.pages() {
                if pages.take_used(page)
                    && let Some(private) = self.header.memory.private(npt::gpa_of(&self.header.memory, page))
                {
                    memory::zero(private, PAGE);
                }
            }
            tables.sync(&self.header.memory, pages, page, size.pages());
        }
        accepted
    }

    /// The VMM converts a page; `is_known` when the guest asked for it.
    pub fn convert(&self, gpa: u64, is_shared: bool) {
        let Some(page) = self.header.memory.page(gpa) else { return };
        let mut mapping = self.mapping.lock();
        let Mapping { pages, tables } = &mut *mapping;
        let was_shared = pages.state(page) == State::Shared;
        pages.convert(page, is_shared);
        if is_shared && !was_shared {
            // The shared backing starts without what it held when the page was shared the last time.
            memory::zero(gpa & !(PAGE - 1), PAGE);
        }
        if tables.sync(&self.header.memory, pages, page, 1) {
            smp::forget_translations(self);
        }
    }

    /// Maps what is there around a page.
    pub fn map_around(&self, gpa: u64) {
        let Some(page) = self.header.memory.page(gpa) else { return };
        let mut mapping = self.mapping.lock();
        let Mapping { pages, tables } = &mut *mapping;
        if tables.sync_around(&self.header.memory, pages, page) {
            smp::forget_translations(self);
        }
    }

    /// Looks for canaries in all memory that is shared.
    pub fn find_canary(&self) -> Search {
        const PATIENCE: usize = 10_000_000;
        let (offset, len) = self.header.canaries;
        let all = self.pack.get(offset as usize..(offset + len) as usize).unwrap_or_default();
        // Who ends the domain may have the lock itself.
        let Some(mapping) = (0..PATIENCE).find_map(|_| self.mapping.try_lock()) else {
            return Search::Impossible;
        };
        let mut buffer = [0; PAGE as usize];
        let mut pages = 0;
        for page in (0..mapping.pages.len()).filter(|page| mapping.pages.state(*page) == State::Shared) {
            let gpa = npt::gpa_of(&self.header.memory, page);
            memory::read(gpa, &mut buffer);
            pages += 1;
            for canary in all.chunks_exact(CANARY_LEN) {
                if let Some(at) = position(&buffer, canary) {
                    return Search::Found(gpa + at as u64);
                }
            }
        }
        Search::Clean { pages, canaries: all.len() / CANARY_LEN }
    }
}

/// What a search for canaries came to.
#[derive(Clone, Copy, Debug)]
pub enum Search {
    /// One is at this address.
    Found(u64),
    /// None is in so many pages.
    Clean { pages: usize, canaries: usize },
    /// Somebody works at the list of pages.
    Impossible,
}

/// Length of a canary. They do not cross pages, for whoever writes them aligns them, or writes many.
const CANARY_LEN: usize = 16;

fn position(page: &[u8], canary: &[u8]) -> Option<usize> {
    let first = canary.first()?;
    page.windows(CANARY_LEN).position(|window| window.first() == Some(first) && window == canary)
}
