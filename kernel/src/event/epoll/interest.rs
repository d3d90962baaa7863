//! One watched file, and the queue of those on which something happened.

use super::Key;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Observer, Pollee};
use crate::fs::open_file::OpenFile;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use coffer_abi_types::event::epoll_event;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ostd::sync::{SpinLock, WaitQueue};

/// EPOLLEXCLUSIVE of epoll_ctl(2).
pub const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// EPOLLWAKEUP of epoll_ctl(2).
pub const EPOLLWAKEUP: u32 = 1 << 29;
/// EPOLLONESHOT of epoll_ctl(2).
pub const EPOLLONESHOT: u32 = 1 << 30;
/// EPOLLET of epoll_ctl(2).
pub const EPOLLET: u32 = 1 << 31;
/// Reported without being asked for.
const UNASKED: u32 = IoEvents::ERR.bits() | IoEvents::HUP.bits();
const FLAGS: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;

/// A watched file.
#[derive(Debug)]
pub struct Interest {
    pub(super) key: Key,
    file: Weak<OpenFile>,
    this: Weak<Interest>,
    /// What is watched for, and flags.
    events: AtomicU32,
    data: AtomicU64,
    is_queued: AtomicBool,
    is_retired: AtomicBool,
    ready: Arc<Ready>,
}

/// The queue. It is apart from the set, so that an observer, who runs with locks held, never drops the set.
#[derive(Debug)]
pub struct Ready {
    len: AtomicUsize,
    queue: SpinLock<Queue>,
    /// Who sleeps in epoll_wait; one of them is woken at a time.
    pub(super) sleepers: WaitQueue,
    /// Sets that watch this one, and polls of it.
    pub(super) pollee: Pollee,
}

#[derive(Debug)]
struct Queue {
    interests: VecDeque<Arc<Interest>>,
    /// How many of these are watched no more.
    retired: usize,
    is_closed: bool,
}

impl Interest {
    pub(super) fn new(file: &Arc<OpenFile>, key: Key, event: epoll_event, ready: Arc<Ready>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            key,
            file: Arc::downgrade(file),
            this: this.clone(),
            events: AtomicU32::new(event.events | UNASKED),
            data: AtomicU64::new(event.data()),
            is_queued: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            ready,
        })
    }

    pub(super) fn as_observer(&self) -> Weak<dyn Observer> {
        self.this.clone()
    }

    /// The file, unless it was closed or is watched no more.
    pub(super) fn file(&self) -> Option<Arc<OpenFile>> {
        if self.is_retired() { None } else { self.file.upgrade() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.strong_count() > 0
    }

    /// EPOLLET and its like.
    pub(super) fn flags(&self) -> u32 {
        self.events.load(Ordering::SeqCst) & FLAGS
    }

    pub(super) fn is_edge_triggered(&self) -> bool {
        self.flags() & EPOLLET != 0
    }

    /// Changes what is watched for.
    pub(super) fn set(&self, event: epoll_event) {
        self.data.store(event.data(), Ordering::SeqCst);
        self.events.store(event.events | UNASKED, Ordering::SeqCst);
    }

    /// After its one shot: nothing is watched for until it is set again.
    pub(super) fn disable(&self) {
        self.events.fetch_and(FLAGS, Ordering::SeqCst);
    }

    /// Queues it if the file is ready.
    pub(super) fn look(&self, file: &OpenFile) {
        if self.event(file).is_some() {
            self.queue();
        }
    }

    /// What there is to report.
    pub(super) fn event(&self, file: &OpenFile) -> Option<epoll_event> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return None;
        }
        let found = file.ops().poll(file) & wanted;
        (!found.is_empty()).then(|| epoll_event::new(found.bits(), self.data.load(Ordering::SeqCst)))
    }

    /// Queues it, unless it is queued, and tells who sleeps and who watches.
    pub(super) fn queue(&self) {
        if self.queue_quietly() {
            self.ready.sleepers.wake_one();
        }
        self.ready.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    /// Queues it, unless it is queued. Returns whether it was not.
    pub(super) fn queue_quietly(&self) -> bool {
        !self.is_queued.swap(true, Ordering::SeqCst)
            && self.this.upgrade().is_some_and(|this| self.ready.push(this))
    }

    /// Takes its observer back. What is left in the queue is skipped. The caller keeps collectors out.
    pub(super) fn retire(&self, file: &OpenFile) {
        self.is_retired.store(true, Ordering::SeqCst);
        if let Some(pollee) = file.ops().pollee() {
            pollee.unregister(&self.as_observer());
        }
        // Nobody queues it any more.
        if self.is_queued.load(Ordering::SeqCst) {
            self.ready.skip_one();
        }
    }

    /// Whether it is watched no more.
    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::SeqCst)
    }

    /// Nothing after a one shot.
    fn wanted(&self) -> IoEvents {
        IoEvents::from_bits_truncate(self.events.load(Ordering::SeqCst) & !FLAGS)
    }
}

impl Observer for Interest {
    fn on_events(&self, events: IoEvents) {
        if self.wanted().intersects(events) {
            self.queue();
        }
    }
}

impl Ready {
    pub(super) const fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            queue: SpinLock::new(Queue { interests: VecDeque::new(), retired: 0, is_closed: false }),
            sleepers: WaitQueue::new(),
            pollee: Pollee::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `interests`, so that observers need not allocate.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn reserve(&self, interests: usize) -> Result<()> {
        let mut queue = self.queue.lock_irq();
        // Those that are watched no more stay in it for a while.
        let more = (interests + queue.retired).saturating_sub(queue.interests.len());
        queue.interests.try_reserve(more).map_err(|_| Errno::ENOMEM.into())
    }

    fn push(&self, interest: Arc<Interest>) -> bool {
        let mut queue = self.queue.lock_irq();
        if queue.is_closed {
            return false;
        }
        queue.interests.push_back(interest);
        self.len.store(queue.interests.len(), Ordering::SeqCst);
        true
    }

    /// Takes the first; whatever happens to it from now on queues it again.
    pub(super) fn pop(&self) -> Option<Arc<Interest>> {
        let mut queue = self.queue.lock_irq();
        let interest = queue.interests.pop_front()?;
        queue.retired -= usize::from(interest.is_retired());
        self.len.store(queue.interests.len(), Ordering::SeqCst);
        drop(queue);
        interest.is_queued.store(false, Ordering::SeqCst);
        Some(interest)
    }

    /// Notes that one in the queue was retired. They are thrown out when they are the greater part: a queue that nobody collects from
    /// does not grow, and each costs the same.
    fn skip_one(&self) {
        let mut queue = self.queue.lock_irq();
        if queue.is_closed {
            return;
        }
        queue.retired += 1;
        if queue.retired <= queue.interests.len() / 2 {
            return;
        }
        // An interest holds its file weakly, so nothing but memory is given back here.
        queue.interests.retain(|interest| !interest.is_retired());
        queue.retired = 0;
        self.len.store(queue.interests.len(), Ordering::SeqCst);
    }

    pub(super) fn first(&self) -> Option<Arc<Interest>> {
        self.queue.lock_irq().interests.front().cloned()
    }

    /// Wakes the next sleeper if something is left for it.
    pub(super) fn pass_on(&self) {
        if !self.is_empty() {
            self.sleepers.wake_one();
        }
    }

    /// Empties it for good.
    pub(super) fn close(&self) {
        let mut queue = self.queue.lock_irq();
        queue.is_closed = true;
        let left = core::mem::take(&mut queue.interests);
        self.len.store(0, Ordering::SeqCst);
        drop(queue);
        drop(left);
    }
}
