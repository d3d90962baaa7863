//! Processes: thread groups that share an address space, descriptors and credentials.
//!
//! Relations between processes (parent and child, group membership) change under [`TREE`] only; each is stored under its own process's lock.
//! Locks, outside in: `TREE`, `family`, then leaf locks (`signals`, pid namespaces, groups), which are taken with interrupts off because senders
//! of signals may be interrupt handlers.

pub mod clone;
pub mod credentials;
pub mod exec;
pub mod exit;
pub mod exit_status;
pub mod first;
pub mod group;
pub mod job;
pub mod log;
pub mod namespace;
pub mod pid;
pub mod pidfd;
pub mod rlimit;
pub mod table;
pub mod times;
pub mod wait;

use crate::cgroup::Membership;
use crate::error::{Errno, Result};
use crate::fs::fd_table::FdTable;
use crate::fs::vfs::place::{FsPlace, Path};
use crate::fs::vfs::text_lock::Execution;
use crate::ipc::sem::UndoList;
use crate::mm::AddressSpace;
use crate::signal::state::ProcessSignals;
use crate::signal::{Actions, Signal};
use crate::thread::{NAME_LEN, Thread};
use crate::time::ProcessTimers;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::process::rlimit64;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use credentials::Credentials;
use exit_status::ExitStatus;
use group::{ProcessGroup, Session};
use namespace::Namespaces;
use namespace::pid::PidNamespace;
use ostd::sync::{Lazy, SpinLock, WaitQueue};
use pid::Pid;
use rlimit::{Limits, Resource};
use times::{CpuTimes, Times};

/// Held while relations between processes change.
pub static TREE: SpinLock<()> = SpinLock::new(());

/// A process.
#[derive(Debug)]
pub struct Process {
    id: Arc<Pid>,
    /// Signals: queues, dispositions, job control.
    pub signals: ProcessSignals,
    /// Sleeps of wait4(2).
    pub child_events: WaitQueue,
    /// CPU time of threads that have ended and of children that were waited for.
    pub times: Times,
    /// Interval timers and POSIX timers.
    pub timers: ProcessTimers,
    /// Added to its badness when memory runs out, -1000..=1000 (/proc/PID/oom_score_adj); children inherit it.
    pub oom_score_adj: AtomicI32,
    /// What semop(2)'s SEM_UNDO takes back at its end.
    pub semaphore_undo: UndoList,
    /// Its control group.
    pub cgroup: Membership,
    threads: SpinLock<Vec<Arc<Thread>>>,
    address_space: SpinLock<Option<Arc<AddressSpace>>>,
    fds: SpinLock<Arc<FdTable>>,
    credentials: SpinLock<Arc<Credentials>>,
    limits: SpinLock<Limits>,
    program: SpinLock<Program>,
    /// The name of its last thread, once that has gone.
    last_name: SpinLock<[u8; NAME_LEN]>,
    family: SpinLock<Family>,
    group: SpinLock<Arc<ProcessGroup>>,
    exit: SpinLock<Option<ExitStatus>>,
    /// The signal that tells the parent of the end; 0: none.
    exit_signal: AtomicU32,
    /// Somebody has taken the zombie's status.
    is_claimed: AtomicBool,
    has_executed: AtomicBool,
    is_subreaper: AtomicBool,
    dumpable: AtomicU32,
    personality: AtomicU32,
    parent_death_signal: AtomicU32,
    /// Told once the address space has been let go (vfork(2)).
    vfork_parent: SpinLock<Option<Arc<VforkDone>>>,
}

/// What runs in a process.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The file (/proc/PID/exe).
    pub executable: Option<Path>,
    /// What keeps others from writing to the file.
    #[expect(dead_code, reason = "held, never looked at")]
    pub execution: Option<Arc<Execution>>,
    /// Where arguments and environment lie (/proc/PID/cmdline, environ).
    pub arguments: core::ops::Range<usize>,
    /// As above.
    pub environment: core::ops::Range<usize>,
    /// The auxiliary vector (/proc/PID/auxv).
    pub auxv: Arc<[(u64, u64)]>,
    /// Calls asked for that there are not: logged once each.
    pub unknown_calls: Vec<u64>,
}

/// Parent and children.
#[derive(Debug, Default)]
pub struct Family {
    /// `None` only for the first process.
    pub parent: Weak<Process>,
    /// Children, zombies included, by global process id.
    pub children: BTreeMap<u32, Arc<Process>>,
}

/// What a vfork(2) parent waits for.
#[derive(Debug, Default)]
pub struct VforkDone {
    is_done: AtomicBool,
    queue: WaitQueue,
}

impl VforkDone {
    /// Says that the child has let go.
    pub fn set(&self) {
        self.is_done.store(true, Ordering::SeqCst);
        self.queue.wake_all();
    }

    /// Whether it has.
    pub fn is_done(&self) -> bool {
        self.is_done.load(Ordering::SeqCst)
    }

    /// Where to wait for it.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// What a new process is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its id.
    pub id: Arc<Pid>,
    /// Its memory; `None` until the first execve(2) of the first process.
    pub address_space: Option<Arc<AddressSpace>>,
    /// Its descriptors.
    pub fds: Arc<FdTable>,
    /// Who it is.
    pub credentials: Arc<Credentials>,
    /// Its limits.
    pub limits: Limits,
    /// Its signal dispositions.
    pub actions: Arc<Actions>,
    /// Its process group.
    pub group: Arc<ProcessGroup>,
    /// What runs in it.
    pub program: Program,
    /// The signal that tells the parent of its end.
    pub exit_signal: Option<Signal>,
}

static NO_FDS: Lazy<Arc<FdTable>> = Lazy::new(|| Arc::new(FdTable::new()));

impl Process {
    /// Makes a process without threads and without a parent. The caller makes it known.
    pub fn new(parts: Parts) -> Arc<Self> {
        let process = Arc::new(Self {
            id: parts.id,
            signals: ProcessSignals::new(parts.actions),
            child_events: WaitQueue::new(),
            times: Times::default(),
            timers: ProcessTimers::default(),
            oom_score_adj: AtomicI32::new(0),
            semaphore_undo: UndoList::default(),
            cgroup: Membership::default(),
            threads: SpinLock::new(Vec::new()),
            address_space: SpinLock::new(parts.address_space),
            fds: SpinLock::new(parts.fds),
            credentials: SpinLock::new(parts.credentials),
            limits: SpinLock::new(parts.limits),
            program: SpinLock::new(parts.program),
            last_name: SpinLock::new([0; NAME_LEN]),
            family: SpinLock::new(Family::default()),
            group: SpinLock::new(parts.group.clone()),
            exit: SpinLock::new(None),
            exit_signal: AtomicU32::new(parts.exit_signal.map_or(0, |s| s.number() as u32)),
            is_claimed: AtomicBool::new(false),
            has_executed: AtomicBool::new(false),
            is_subreaper: AtomicBool::new(false),
            dumpable: AtomicU32::new(1),
            personality: AtomicU32::new(0),
            parent_death_signal: AtomicU32::new(0),
            vfork_parent: SpinLock::new(None),
        });
        process.id.attach_process(&process);
        parts.group.join(&process);
        process
    }

    /// Its id, with a number for each namespace.
    pub fn id(&self) -> &Arc<Pid> {
        &self.id
    }

    /// Process id in the initial pid namespace.
    pub fn pid(&self) -> u32 {
        self.id.global()
    }

    /// Its pid namespace.
    pub fn pid_namespace(&self) -> &Arc<PidNamespace> {
        self.id.namespace()
    }

    /// Whether it is process 1 of the machine.
    pub fn is_init(&self) -> bool {
        self.id.global() == 1
    }

    /// Whether it is process 1 of its pid namespace.
    pub fn is_namespace_init(&self) -> bool {
        self.id.own() == 1
    }

    /// Its address space; `None` once it has exited.
    pub fn address_space(&self) -> Option<Arc<AddressSpace>> {
        self.address_space.lock().clone()
    }

    /// Whether no other process shares its address space (CLONE_VM without CLONE_THREAD): else a set-user-ID program would be at its mercy.
    pub fn address_space_is_own(&self) -> bool {
        self.vfork_parent.lock().is_some()
            || self.address_space.lock().as_ref().is_none_or(|space| Arc::strong_count(space) == 1)
    }

    /// Replaces the address space (execve(2)) or lets go of it (exit); wakes a vfork(2) parent. Returns the old one.
    pub fn replace_address_space(&self, new: Option<Arc<AddressSpace>>) -> Option<Arc<AddressSpace>> {
        let old = core::mem::replace(&mut *self.address_space.lock(), new);
        let waiting = self.vfork_parent.lock().take();
        if let Some(done) = waiting {
            done.set();
        }
        old
    }

    /// Names the vfork(2) parent's latch.
    pub fn set_vfork_parent(&self, done: Arc<VforkDone>) {
        *self.vfork_parent.lock() = Some(done);
    }

    /// Its descriptors (shared with others after CLONE_FILES); an empty table once it has exited.
    pub fn fds(&self) -> Arc<FdTable> {
        self.fds.lock().clone()
    }

    /// Replaces the descriptors; `None`: it exits.
    pub fn replace_fds(&self, new: Option<Arc<FdTable>>) -> Arc<FdTable> {
        core::mem::replace(&mut *self.fds.lock(), new.unwrap_or_else(|| NO_FDS.clone()))
    }

    /// Root, working directory and umask of its oldest thread; `None` once it has exited.
    pub fn living_place(&self) -> Option<Arc<FsPlace>> {
        self.first_thread()?.living_place()
    }

    /// The namespaces of its oldest thread, which others take for the process's (/proc/PID/ns).
    ///
    /// # Errors
    /// ESRCH once it has exited.
    pub fn namespaces(&self) -> Result<Arc<Namespaces>> {
        self.first_thread().ok_or(Errno::ESRCH)?.namespaces()
    }

    /// A snapshot of its credentials. (Linux keeps them per thread; glibc and musl keep threads alike, and so do we. COMPAT)
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Replaces the credentials.
    pub fn set_credentials(&self, new: Credentials) {
        let old = core::mem::replace(&mut *self.credentials.lock(), Arc::new(new));
        drop(old);
    }

    /// A limit's (soft, hard) values.
    pub fn rlimit(&self, resource: Resource) -> (u64, u64) {
        let rlimit64 { rlim_cur, rlim_max } = self.limits.lock()[resource as usize];
        (rlim_cur, rlim_max)
    }

    /// All limits.
    pub fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Replaces one limit, by number.
    pub fn set_limit(&self, resource: usize, value: rlimit64) {
        self.limits.lock()[resource] = value;
    }

    /// What runs in it.
    pub fn program(&self) -> Program {
        self.program.lock().clone()
    }

    /// Replaces what runs in it.
    pub fn set_program(&self, program: Program) -> Program {
        core::mem::replace(&mut *self.program.lock(), program)
    }

    /// Changes what /proc shows of the program (prctl(PR_SET_MM)) or counts calls.
    pub fn with_program<R>(&self, change: impl FnOnce(&mut Program) -> R) -> R {
        change(&mut self.program.lock())
    }

    /// Its parent; `None` for the first process.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.family.lock().parent.upgrade()
    }

    /// Parent and children; change them under [`TREE`].
    pub fn family(&self) -> &SpinLock<Family> {
        &self.family
    }

    /// Its children, zombies included.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.family.lock().children.values().cloned().collect()
    }

    /// Its process group.
    pub fn group(&self) -> Arc<ProcessGroup> {
        self.group.lock_irq().clone()
    }

    /// Its session.
    pub fn session(&self) -> Arc<Session> {
        self.group.lock_irq().session().clone()
    }

    /// Moves it to another group. [`TREE`] is held.
    pub fn move_to_group(self: &Arc<Self>, group: &Arc<ProcessGroup>) {
        group.join(self);
        let old = core::mem::replace(&mut *self.group.lock_irq(), group.clone());
        if !Arc::ptr_eq(&old, group) {
            old.leave(self);
        }
    }

    /// Its threads.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock_irq().clone()
    }

    /// Calls `visit` for each thread, until it says `false`, without allocating. Leaf locks only inside.
    pub fn for_each_thread(&self, mut visit: impl FnMut(&Arc<Thread>) -> bool) {
        for thread in self.threads.lock_irq().iter() {
            if !visit(thread) {
                return;
            }
        }
    }

    /// How many threads it has.
    pub fn thread_count(&self) -> usize {
        self.threads.lock_irq().len()
    }

    /// Its oldest thread.
    pub fn first_thread(&self) -> Option<Arc<Thread>> {
        self.threads.lock_irq().first().cloned()
    }

    /// The name of its oldest thread; of a zombie, that of its last one. Padded with zeros.
    pub fn name(&self) -> [u8; NAME_LEN] {
        self.first_thread().map_or_else(|| *self.last_name.lock(), |thread| thread.name())
    }

    /// Adds a thread.
    pub fn add_thread(&self, thread: Arc<Thread>) {
        self.threads.lock_irq().push(thread);
    }

    /// Takes a thread out; returns how many are left.
    pub fn remove_thread(&self, thread: &Thread) -> usize {
        let mut threads = self.threads.lock_irq();
        let gone =
            threads.iter().position(|other| core::ptr::eq(&**other, thread)).map(|at| threads.remove(at));
        let left = threads.len();
        drop(threads);
        if left == 0 {
            *self.last_name.lock() = thread.name();
        }
        drop(gone);
        left
    }

    /// How it ended: a zombie, or one that was reaped.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock_irq()
    }

    /// Takes the zombie's status: `false` if somebody else has.
    pub fn claim_zombie(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::SeqCst)
    }

    /// Whether somebody has taken the zombie's status.
    pub fn is_claimed(&self) -> bool {
        self.is_claimed.load(Ordering::SeqCst)
    }

    /// Makes it a zombie.
    pub fn set_exit_status(&self, status: ExitStatus) {
        *self.exit.lock_irq() = Some(status);
    }

    /// The signal that tells the parent of its end.
    pub fn exit_signal(&self) -> Option<Signal> {
        Signal::new(self.exit_signal.load(Ordering::Relaxed) as i32)
    }

    /// Its end is told by SIGCHLD from here on (execve(2), a new parent).
    pub fn reset_exit_signal(&self) {
        self.exit_signal.store(Signal::CHLD.number() as u32, Ordering::Relaxed);
    }

    /// Whether it has called execve(2) since it was made: setpgid(2) by its parent is over.
    pub fn has_executed(&self) -> bool {
        self.has_executed.load(Ordering::Relaxed)
    }

    /// Notes an execve(2).
    pub fn note_execution(&self) {
        self.has_executed.store(true, Ordering::Relaxed);
    }

    /// PR_SET_CHILD_SUBREAPER.
    pub fn is_subreaper(&self) -> bool {
        self.is_subreaper.load(Ordering::Relaxed)
    }

    /// PR_SET_CHILD_SUBREAPER.
    pub fn set_subreaper(&self, value: bool) {
        self.is_subreaper.store(value, Ordering::Relaxed);
    }

    /// PR_GET_DUMPABLE.
    pub fn dumpable(&self) -> u32 {
        self.dumpable.load(Ordering::Relaxed)
    }

    /// PR_SET_DUMPABLE.
    pub fn set_dumpable(&self, value: u32) {
        self.dumpable.store(value, Ordering::Relaxed);
    }

    /// personality(2).
    pub fn personality(&self) -> u32 {
        self.personality.load(Ordering::Relaxed)
    }

    /// personality(2).
    pub fn set_personality(&self, value: u32) {
        self.personality.store(value, Ordering::Relaxed);
    }

    /// PR_GET_PDEATHSIG.
    pub fn parent_death_signal(&self) -> Option<Signal> {
        Signal::new(self.parent_death_signal.load(Ordering::Relaxed) as i32)
    }

    /// PR_SET_PDEATHSIG.
    pub fn set_parent_death_signal(&self, signal: Option<Signal>) {
        self.parent_death_signal.store(signal.map_or(0, |s| s.number() as u32), Ordering::Relaxed);
    }

    /// CPU time of all its threads, living and ended, in nanoseconds.
    pub fn cpu_times(&self) -> CpuTimes {
        let mut sum = self.times.ended_threads();
        self.for_each_thread(|thread| {
            sum += thread.cpu_times();
            true
        });
        sum
    }
}
