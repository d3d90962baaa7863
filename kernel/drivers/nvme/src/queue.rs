//! A pair of queues with its interrupt: commands go in, their tasks sleep, completions wake them.

use alloc::sync::Arc;

use coffer_nvme_protocol::{
    COMPLETION_LEN, Command, Completion, Controller, Memory, Pages, QueueError, QueuePair, Registers,
    SUBMISSION_LEN,
};
use ostd::mm::dma::{DmaCoherent, DmaStream};
use ostd::pci::Mmio;
use ostd::sync::{SpinLock, WaitQueue, Waiter, Waker};
use ostd::timer;

/// Pages in one command at most: their list fits its slot.
pub(crate) const PAGES_PER_REQUEST: usize = 32;
/// A slot for the list of a command's pages; a whole number of them fills a page, so none crosses into the next.
const LIST_LEN: usize = 8 * PAGES_PER_REQUEST;

/// How long a command may take. Linux waits as long for disks.
const PATIENCE_NS: u64 = 30_000_000_000;

/// The controller's registers.
#[derive(Debug)]
pub(crate) struct Bar(pub(crate) Mmio);

impl Registers for Bar {
    fn read_u32(&self, offset: usize) -> u32 {
        // The protocol's crate takes all that a controller says for a claim.
        self.0.read_u32(offset).claim()
    }

    fn write_u32(&self, offset: usize, value: u32) {
        self.0.write_u32(offset, value);
    }

    fn has(&self, offset: usize) -> bool {
        self.0.has(offset, size_of::<u32>())
    }
}

/// One ring's memory.
#[derive(Debug)]
pub(crate) struct Ring(DmaCoherent);

impl Memory for Ring {
    fn load_u32(&self, offset: usize) -> u32 {
        self.0.load_u32(offset)
    }

    fn store_u32(&self, offset: usize, value: u32) {
        self.0.store_u32(offset, value);
    }

    fn store_u64(&self, offset: usize, value: u64) {
        self.0.store_u64(offset, value);
    }
}

/// A command that the controller has. It owns the frames until the controller is done with them, whatever becomes of who waits.
struct Request {
    stream: Option<DmaStream>,
    outcome: Arc<Outcome>,
}

struct Outcome {
    end: SpinLock<Option<Result<Completion, Lost>>>,
    waker: Arc<Waker>,
}

/// Why a command has no completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The controller has not answered in time, or broke the queue: it needs a reset.
    Stuck,
    /// It was reset meanwhile.
    Reset,
}

/// The pair.
pub(crate) struct Lane {
    pair: SpinLock<QueuePair<Ring, Request>>,
    room: WaitQueue,
    lists: DmaCoherent,
}

impl Lane {
    pub(crate) fn new(id: u16, entries: u16) -> Result<Self, ostd::Error> {
        let ring = |len: usize| DmaCoherent::alloc(usize::from(entries) * len).map(Ring);
        let pair = QueuePair::new(id, entries, ring(SUBMISSION_LEN)?, ring(COMPLETION_LEN)?);
        let lists = DmaCoherent::alloc(usize::from(entries) * LIST_LEN)?;
        Ok(Self { pair: SpinLock::new(pair), room: WaitQueue::new(), lists })
    }

    pub(crate) fn id(&self) -> u16 {
        self.pair.lock_irq().id()
    }

    pub(crate) fn entries(&self) -> u16 {
        self.pair.lock_irq().entries()
    }

    /// Device addresses of the two rings: submissions, completions.
    pub(crate) fn addresses(&self) -> [u64; 2] {
        self.pair.lock_irq().memories().map(|ring| ring.0.device_address())
    }

    /// Sends a command, with as many frames of the stream as it says, and sleeps until it is done. `build` is told where its data is.
    pub(crate) fn run(
        &self,
        hardware: &Controller<Bar>,
        data: Option<(DmaStream, usize)>,
        build: impl Fn(Pages) -> Command,
    ) -> Result<Completion, Lost> {
        let waiter = Waiter::new();
        let outcome = Arc::new(Outcome { end: SpinLock::new(None), waker: waiter.waker().clone() });
        let (stream, pages) = data.map_or((None, 0), |(stream, pages)| (Some(stream), pages));
        let mut request = Some(Request { stream, outcome: outcome.clone() });
        let is_in = self.room.wait_until(|| {
            let mut pair = self.pair.lock_irq();
            let request_now = request.take()?;
            // Where the frames are, for the moment in which the request belongs to the queue already.
            let addresses: Option<[u64; PAGES_PER_REQUEST]> = request_now.stream.as_ref().map(|stream| {
                core::array::from_fn(|index| if index < pages { stream.device_address(index) } else { 0 })
            });
            let place = |id: u16| match &addresses {
                Some(addresses) => self.place(id, addresses.get(..pages).unwrap_or(addresses)),
                None => Pages::default(),
            };
            match pair.submit(request_now, |id| build(place(id))) {
                Ok(()) => {
                    hardware.ring_submissions(pair.id(), pair.tail());
                    Some(true)
                }
                Err((QueueError::Full, back)) => {
                    request = Some(back);
                    None
                }
                Err((QueueError::Broken, _)) => Some(false),
            }
        });
        if !is_in {
            return Err(Lost::Reset);
        }
        let deadline = timer::now_ns().saturating_add(PATIENCE_NS);
        loop {
            if let Some(end) = *outcome.end.lock_irq() {
                return end;
            }
            // Broken, but not yet reset: whoever has a command out may do that.
            if self.pair.lock_irq().is_broken() || !waiter.wait_until(deadline) {
                return outcome.end.lock_irq().unwrap_or(Err(Lost::Stuck));
            }
        }
    }

    /// Writes down where a command's pages are (Base Specification, 4.1.1).
    fn place(&self, id: u16, addresses: &[u64]) -> Pages {
        match addresses {
            [] => Pages::default(),
            [first] => Pages { first: *first, rest: 0 },
            [first, second] => Pages { first: *first, rest: *second },
            [first, rest @ ..] => {
                let list = usize::from(id) * LIST_LEN;
                for (index, address) in rest.iter().enumerate() {
                    self.lists.store_u64(list + 8 * index, *address);
                }
                Pages { first: *first, rest: self.lists.device_address() + list as u64 }
            }
        }
    }

    /// In interrupt context: takes what is done.
    pub(crate) fn complete(&self, hardware: &Controller<Bar>) {
        let mut pair = self.pair.lock_irq();
        let mut is_any = false;
        loop {
            match pair.pop() {
                Ok(Some((request, completion))) => {
                    is_any = true;
                    request.finish(Ok(completion));
                }
                Ok(None) => break,
                Err(_) => {
                    // What it has, it may still write to: that stays where it is until the controller is stopped.
                    pair.out().for_each(|request| {
                        request.outcome.waker.wake();
                    });
                    break;
                }
            }
        }
        if is_any {
            hardware.ring_completions(pair.id(), pair.head());
            drop(pair);
            self.room.wake_all();
        }
    }

    /// Ends all commands, after the controller was stopped; `has_stopped` says whether it was. If not, it may still write to their frames,
    /// which then are never used again.
    pub(crate) fn abandon(&self, has_stopped: bool) {
        for mut request in self.pair.lock_irq().drain() {
            if !has_stopped {
                core::mem::forget(request.stream.take());
            }
            request.finish(Err(Lost::Reset));
        }
        self.room.wake_all();
    }

    /// Begins anew, as the controller does.
    pub(crate) fn restart(&self) {
        self.pair.lock_irq().restart();
    }
}

impl Request {
    fn finish(self, end: Result<Completion, Lost>) {
        let Self { stream, outcome } = self;
        if let Some(stream) = stream {
            drop(stream.finish());
        }
        *outcome.end.lock_irq() = Some(end);
        outcome.waker.wake();
    }
}
