//! Who pays for pages: accounts, one for each control group, below that of the group above.
//!
//! An account's number is on each page that it pays for ([`UFrame::set_payer`]), so the end of the page's last handle finds it, wherever
//! that is. A page counts in its account and in all above. Accounts lie in a table that only grows; the number of one that was closed is
//! given out again when its last page is gone (a page of a file may outlive the group that touched it first).

use crate::cgroup::Cgroup;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use ostd::mm::UFrame;
use ostd::sync::{Once, SpinLock};

/// An account's number. 0 is nobody's: the root group's pages are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account(u16);

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anonymous memory.
    Anonymous,
    /// A file that is in memory only.
    File,
}

/// Counters of an account.
#[derive(Debug, Default)]
pub struct Counters {
    /// A [`State`].
    state: AtomicU8,
    above: AtomicU16,
    /// Pages of this account and those below.
    pages: AtomicUsize,
    /// Of those, pages of files.
    file_pages: AtomicUsize,
    peak: AtomicUsize,
    max: AtomicUsize,
    high: AtomicUsize,
    /// What happened to it.
    pub events: Events,
    /// When its last victim was chosen; 0: never.
    pub last_kill_ns: AtomicU64,
    group: SpinLock<Weak<Cgroup>>,
}

/// How often what happened (`memory.events`).
#[derive(Debug, Default)]
pub struct Events {
    /// It grew past memory.high.
    pub high: AtomicU64,
    /// It would have grown past memory.max.
    pub max: AtomicU64,
    /// There was nothing else left to do.
    pub oom: AtomicU64,
    /// A process was ended for it.
    pub oom_kill: AtomicU64,
    /// All processes were.
    pub oom_group_kill: AtomicU64,
}

/// The account whose limit is in the way.
#[derive(Clone, Copy, Debug)]
pub struct Full(pub Account);

const FREE: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

const CHUNK: usize = 64;
const CHUNKS: usize = 64;
/// On a page: it is one of a file.
const FILE: u16 = 1 << 15;

static TABLE: [Once<Box<[Counters]>>; CHUNKS] = [const { Once::new() }; CHUNKS];
/// Held while a number is given out.
static OPENING: SpinLock<()> = SpinLock::new(());

/// Names who hears of pages that go. Part of boot.
pub fn init() {
    ostd::mm::frame::set_accountant(|payer| {
        let kind = if payer & FILE != 0 { Kind::File } else { Kind::Anonymous };
        Account(payer & !FILE).uncharge(kind);
    });
}

impl Account {
    /// Nobody's.
    pub const NONE: Self = Self(0);

    /// The account with a number that [`Self::number`] gave.
    pub fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// A new account below this one; `None` if there are as many as there can be.
    pub fn open_below(self) -> Option<Self> {
        let _opening = OPENING.lock();
        for (index, chunk) in TABLE.iter().enumerate() {
            let slots = chunk.call_once(|| (0..CHUNK).map(|_| Counters::default()).collect());
            // Number 0 stays free.
            let skipped = usize::from(index == 0);
            let free = slots.iter().skip(skipped).position(|slot| slot.state.load(Ordering::Acquire) == FREE);
            let Some(at) = free.map(|at| at + skipped) else { continue };
            let slot = &slots[at];
            slot.above.store(self.0, Ordering::Relaxed);
            slot.reset();
            slot.state.store(OPEN, Ordering::Release);
            return Some(Self((index * CHUNK + at) as u16));
        }
        None
    }

    /// Names the group that it is of.
    pub fn set_group(self, group: &Arc<Cgroup>) {
        if let Some(slot) = self.counters() {
            *slot.group.lock() = Arc::downgrade(group);
        }
    }

    /// The group that it is of.
    pub fn group(self) -> Option<Arc<Cgroup>> {
        self.counters()?.group.lock().upgrade()
    }

    /// The group is gone: as soon as all pages are, the number is free.
    pub fn close(self) {
        let Some(slot) = self.counters() else { return };
        *slot.group.lock() = Weak::new();
        slot.state.store(CLOSED, Ordering::SeqCst);
        slot.free_if_empty();
    }

    /// Its counters; `None` for nobody's.
    #[inline]
    pub fn counters(self) -> Option<&'static Counters> {
        if self == Self::NONE {
            return None;
        }
        let number = usize::from(self.0);
        TABLE.get(number / CHUNK)?.get()?.get(number % CHUNK)
    }

    /// The first account from this one upwards that has no room for another page.
    pub fn full(self) -> Option<Full> {
        self.lineage().find(|(_, slot)| slot.pages() >= slot.max()).map(|(account, _)| Full(account))
    }

    /// Whether this one or one above has more than its memory.high.
    pub fn is_high(self) -> bool {
        self.lineage().any(|(_, slot)| slot.pages() > slot.high())
    }

    /// Has a page paid for: one that was just allocated.
    ///
    /// # Errors
    /// [`Full`]; the page is as it was.
    #[inline]
    pub fn pay(self, frame: &UFrame, kind: Kind) -> Result<(), Full> {
        if self == Self::NONE {
            return Ok(());
        }
        self.charge(kind)?;
        frame.set_payer(self.0 | if kind == Kind::File { FILE } else { 0 });
        Ok(())
    }

    fn charge(self, kind: Kind) -> Result<(), Full> {
        for (above, (account, slot)) in self.lineage().enumerate() {
            let now = slot.pages.fetch_add(1, Ordering::Relaxed) + 1;
            if now > slot.max() {
                account.count(|events| &events.max);
                self.lineage().take(above + 1).for_each(|(_, slot)| {
                    slot.pages.fetch_sub(1, Ordering::Relaxed);
                });
                return Err(Full(account));
            }
            if now > slot.peak.load(Ordering::Relaxed) {
                slot.peak.fetch_max(now, Ordering::Relaxed);
            }
            if now > slot.high() {
                account.count(|events| &events.high);
            }
        }
        if kind == Kind::File {
            self.lineage().for_each(|(_, slot)| _ = slot.file_pages.fetch_add(1, Ordering::Relaxed));
        }
        Ok(())
    }

    /// Something happened, here and so above.
    pub fn count(self, event: fn(&Events) -> &AtomicU64) {
        self.lineage().for_each(|(_, slot)| _ = event(&slot.events).fetch_add(1, Ordering::Relaxed));
    }

    fn uncharge(self, kind: Kind) {
        let mut next = self;
        while let Some(slot) = next.counters() {
            // Read first: with its last page a closed account's number may become another's.
            next = Self(slot.above.load(Ordering::Relaxed));
            if kind == Kind::File {
                slot.file_pages.fetch_sub(1, Ordering::Relaxed);
            }
            if slot.pages.fetch_sub(1, Ordering::SeqCst) == 1 {
                slot.free_if_empty();
            }
        }
    }

    /// This one and those above.
    fn lineage(self) -> impl Iterator<Item = (Self, &'static Counters)> {
        let with_counters = |account: Self| Some((account, account.counters()?));
        core::iter::successors(with_counters(self), move |(_, slot)| {
            with_counters(Self(slot.above.load(Ordering::Relaxed)))
        })
    }
}

impl Counters {
    /// Pages of this account and those below.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }

    /// Of those, pages of files.
    pub fn file_pages(&self) -> usize {
        self.file_pages.load(Ordering::Relaxed)
    }

    /// The most that there were.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The most that there may be (memory.max), in pages.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Sets it. What there is already is the caller's affair.
    pub fn set_max(&self, pages: usize) {
        self.max.store(pages, Ordering::Relaxed);
    }

    /// From where on its processes are slowed down (memory.high), in pages.
    pub fn high(&self) -> usize {
        self.high.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_high(&self, pages: usize) {
        self.high.store(pages, Ordering::Relaxed);
    }

    fn reset(&self) {
        self.peak.store(0, Ordering::Relaxed);
        self.set_max(usize::MAX);
        self.set_high(usize::MAX);
        let Events { high, max, oom, oom_kill, oom_group_kill } = &self.events;
        [high, max, oom, oom_kill, oom_group_kill].iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.last_kill_ns.store(0, Ordering::Relaxed);
    }

    fn free_if_empty(&self) {
        if self.pages.load(Ordering::SeqCst) == 0 {
            // Whoever takes away the last page and whoever closes it may both come here.
            let _ = self.state.compare_exchange(CLOSED, FREE, Ordering::SeqCst, Ordering::Relaxed);
        }
    }
}
