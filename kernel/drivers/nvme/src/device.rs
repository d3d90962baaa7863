//! A controller: brought up with one pair of queues a CPU as far as it has them, and reset when it stops answering.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use coffer_block::BlockError;
use coffer_nvme_protocol::identify::{self, Identity, Namespace, Page};
use coffer_nvme_protocol::{Clock, Command, Completion, Controller, PAGE, Pages};
use ostd::cpu;
use ostd::irq::IrqLine;
use ostd::mm::dma::{DmaCoherent, DmaStream};
use ostd::pci::{Function, Msix};
use ostd::sync::{Mutex, Once, Waiter};
use ostd::timer;

use crate::Error;
use crate::queue::{Bar, Lane, Lost, PAGES_PER_REQUEST};

const ADMIN_ENTRIES: u16 = 16;
const ENTRIES: u16 = 64;
/// Pairs of queues at most.
const LANE_LIMIT: usize = 8;
/// A controller that needs more resets than this is given up.
const RESET_LIMIT: u32 = 8;

struct Time;

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        timer::now_ns() / 1_000_000
    }

    fn pause(&self) {
        Waiter::new().wait_until(timer::now_ns().saturating_add(1_000_000));
    }
}

/// What interrupts need.
struct Shared {
    hardware: Controller<Bar>,
    admin: Lane,
    /// Known once the controller has said how many it grants.
    lanes: Once<Vec<Lane>>,
}

/// The controller.
pub(crate) struct Device {
    shared: Arc<Shared>,
    identity: Identity,
    vectors: u16,
    /// Held during a reset; counts those that there were.
    reset: Mutex<u32>,
    /// The same, to be read by those who do not want to wait.
    resets: AtomicU32,
    // After all that the controller may refer to.
    _msix: Msix,
    _function: Function,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Device {
    pub(crate) fn new(function: Function) -> Result<Arc<Self>, Error> {
        function.enable();
        let hardware = Controller::new(Bar(function.map_bar(0)?))?;
        let mut msix = function.enable_msix()?;
        let entries = |wanted: u16| hardware.capabilities().entries.min(u32::from(wanted)) as u16;
        let (admin_entries, lane_entries) = (entries(ADMIN_ENTRIES), entries(ENTRIES));
        hardware.check_doorbells(0)?;
        hardware.stop(&Time)?;

        let shared = Arc::new(Shared { hardware, admin: Lane::new(0, admin_entries)?, lanes: Once::new() });
        let wanted = cpu::count().min(LANE_LIMIT);
        let vectors = connect(&shared, &mut msix, wanted + 1)?;
        let identity = shared.start(wanted, lane_entries, vectors);
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                shared.retire();
                return Err(error);
            }
        };
        Ok(Arc::new(Self {
            shared,
            identity,
            vectors,
            reset: Mutex::new(0),
            resets: AtomicU32::new(0),
            _msix: msix,
            _function: function,
        }))
    }

    /// Identifiers of namespaces.
    pub(crate) fn namespaces(&self, limit: usize) -> Result<Vec<u32>, Error> {
        let page = self.shared.describe(Command::list_namespaces)?;
        Ok(identify::namespaces(&page, limit))
    }

    /// A namespace; `None` if its form is not supported.
    pub(crate) fn namespace(&self, id: u32) -> Result<Option<Namespace>, Error> {
        let page = self.shared.describe(|at| Command::identify_namespace(id, at))?;
        Ok(identify::namespace(&page))
    }

    pub(crate) fn serial(&self) -> &[u8] {
        &self.identity.serial
    }

    pub(crate) fn has_cache(&self) -> bool {
        self.identity.has_cache
    }

    pub(crate) fn pages_per_command(&self) -> usize {
        self.identity.pages.unwrap_or(PAGES_PER_REQUEST)
    }

    /// Runs a command on this CPU's queues.
    pub(crate) fn run(
        &self,
        data: Option<(DmaStream, usize)>,
        build: impl Fn(Pages) -> Command,
    ) -> Result<(), BlockError> {
        let lanes = self.shared.lanes.get().filter(|lanes| !lanes.is_empty()).ok_or(BlockError::Device)?;
        let resets = self.resets.load(Ordering::Acquire);
        let lane = &lanes[cpu::current_racy().as_usize() % lanes.len()];
        match lane.run(&self.shared.hardware, data, build) {
            Ok(completion) if completion.is_success() => Ok(()),
            Ok(Completion { status, .. }) => {
                log::debug!("nvme: a command ended with status {status:#x}");
                Err(BlockError::Device)
            }
            Err(lost) => {
                if lost == Lost::Stuck {
                    self.recover(resets);
                }
                Err(BlockError::Device)
            }
        }
    }

    /// Resets the controller, unless somebody has since `resets` was read. What was out fails; what comes next finds it working, or fails too.
    fn recover(&self, resets: u32) {
        let mut count = self.reset.lock();
        if *count != resets {
            return;
        }
        *count += 1;
        self.resets.store(*count, Ordering::Release);
        log::warn!("nvme: the controller does not answer: reset {}", *count);
        let has_stopped = self.shared.hardware.stop(&Time).is_ok();
        self.shared.abandon(has_stopped);
        let is_worth_it = has_stopped && *count < RESET_LIMIT;
        if is_worth_it && self.shared.resume(self.vectors).is_ok() {
            return;
        }
        log::warn!("nvme: the controller is given up");
        self.shared.retire();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.shared.retire();
    }
}

/// Points as many of the controller's interrupts as it has, up to `wanted`, at its queues; gives their number.
fn connect(shared: &Arc<Shared>, msix: &mut Msix, wanted: usize) -> Result<u16, Error> {
    let vectors = msix.len().min(wanted as u16);
    if vectors == 0 {
        return Err(Error::Resource);
    }
    for vector in 0..vectors {
        // Weak, because the lines belong to who owns the rest.
        let shared = Arc::downgrade(shared);
        let line = IrqLine::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.interrupted(vector, vectors);
            }
        })?;
        msix.set(vector, line)?;
    }
    Ok(vectors)
}

/// Which interrupt tells of the completions of lane `index`: the admin queue's, if there is no other.
fn vector_of(index: usize, vectors: u16) -> u16 {
    match usize::from(vectors).checked_sub(1) {
        None | Some(0) => 0,
        Some(others) => 1 + (index % others) as u16,
    }
}

impl Shared {
    /// In interrupt context.
    fn interrupted(&self, vector: u16, vectors: u16) {
        if vector == 0 {
            self.admin.complete(&self.hardware);
        }
        for (index, lane) in self.lanes.get().into_iter().flatten().enumerate() {
            if vector_of(index, vectors) == vector {
                lane.complete(&self.hardware);
            }
        }
    }

    /// Starts the controller for the first time.
    fn start(&self, wanted: usize, entries: u16, vectors: u16) -> Result<Identity, Error> {
        self.start_admin()?;
        let identity =
            identify::controller(&*self.describe(Command::identify_controller)?).ok_or(Error::Command)?;
        let granted = self.request_queues(wanted)?;
        let mut lanes = Vec::new();
        for id in (1..=granted.min(wanted as u16)).take_while(|id| self.hardware.check_doorbells(*id).is_ok())
        {
            lanes.push(Lane::new(id, entries)?);
        }
        if lanes.is_empty() {
            return Err(Error::Resource);
        }
        self.lanes.call_once(|| lanes);
        self.create_queues(vectors)?;
        Ok(identity)
    }

    /// Starts a stopped controller again, with the queues that it had.
    fn resume(&self, vectors: u16) -> Result<(), Error> {
        let lanes = self.lanes.get().into_iter().flatten();
        self.admin.restart();
        self.start_admin()?;
        let count = lanes.clone().count();
        if usize::from(self.request_queues(count)?) < count {
            return Err(Error::Resource);
        }
        // Made on the controller before anybody can use them.
        self.create_queues(vectors)?;
        lanes.for_each(Lane::restart);
        Ok(())
    }

    fn start_admin(&self) -> Result<(), Error> {
        let [submissions, completions] = self.admin.addresses();
        Ok(self.hardware.start(&Time, self.admin.entries(), submissions, completions)?)
    }

    fn request_queues(&self, wanted: usize) -> Result<u16, Error> {
        let completion = self.administer(|| Command::request_queues(wanted as u16))?;
        Ok(identify::granted_queues(completion.result))
    }

    fn create_queues(&self, vectors: u16) -> Result<(), Error> {
        for (index, lane) in self.lanes.get().into_iter().flatten().enumerate() {
            let ([submissions, completions], entries) = (lane.addresses(), lane.entries());
            let vector = vector_of(index, vectors);
            self.administer(|| Command::create_completions(lane.id(), entries, completions, vector))?;
            self.administer(|| Command::create_submissions(lane.id(), entries, submissions))?;
        }
        Ok(())
    }

    /// Has the controller write a page of description.
    fn describe(&self, build: impl Fn(u64) -> Command) -> Result<Box<Page>, Error> {
        let memory = DmaCoherent::alloc(PAGE)?;
        let address = memory.device_address();
        let described = self.administer(|| build(address));
        if described == Err(Error::Controller(coffer_nvme_protocol::Fault::Timeout)) {
            // It may be written to yet.
            core::mem::forget(memory);
            return Err(Error::Command);
        }
        described?;
        let mut page: Box<Page> = Box::new([0; PAGE]);
        memory.read(0, &mut *page);
        Ok(page)
    }

    /// Runs an admin command that must succeed.
    fn administer(&self, build: impl Fn() -> Command) -> Result<Completion, Error> {
        match self.admin.run(&self.hardware, None, |_| build()) {
            Ok(completion) if completion.is_success() => Ok(completion),
            Ok(_) | Err(Lost::Reset) => Err(Error::Command),
            Err(Lost::Stuck) => Err(Error::Controller(coffer_nvme_protocol::Fault::Timeout)),
        }
    }

    fn abandon(&self, has_stopped: bool) {
        self.admin.abandon(has_stopped);
        self.lanes.get().into_iter().flatten().for_each(|lane| lane.abandon(has_stopped));
    }

    /// Stops the controller for good. One that does not stop keeps its memory.
    fn retire(self: &Arc<Self>) {
        let has_stopped = self.hardware.stop(&Time).is_ok();
        self.abandon(has_stopped);
        if !has_stopped {
            core::mem::forget(self.clone());
        }
    }
}
