//! New threads and processes (clone(2), clone3(2), fork(2), vfork(2)).

use super::group::ProcessGroup;
use super::namespace::Namespaces;
use super::namespace::enter;
use super::namespace::pid::PidNamespace;
use super::pid::Pid;
use super::rlimit::{INFINITY, Resource};
use super::{Parts, Process, TREE, VforkDone, pidfd, table};
use crate::cgroup::{Membership, Reservation};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::cgroupfs;
use crate::process::credentials::{Capability, Credentials};
use crate::signal::Signal;
use crate::signal::state::NO_ALTERNATE_STACK;
use crate::syscall::UserPtr;
use crate::thread::{Surroundings, Thread, user_loop};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::process::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_DETACHED, CLONE_FILES, CLONE_FS,
    CLONE_INTO_CGROUP, CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_PARENT,
    CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VFORK,
    CLONE_VM,
};
use core::sync::atomic::Ordering;
use ostd::sync::Waiter;

/// What clone3(2) asks for; the older calls in its terms.
#[derive(Clone, Debug, Default)]
pub struct CloneRequest {
    /// CLONE_*, without a signal.
    pub flags: u64,
    /// Tells the parent of the end.
    pub exit_signal: Option<Signal>,
    /// The child's stack pointer; 0: the parent's.
    pub stack_pointer: u64,
    /// The FS base, with CLONE_SETTLS.
    pub tls: u64,
    /// With CLONE_PARENT_SETTID.
    pub parent_tid: usize,
    /// With CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID.
    pub child_tid: usize,
    /// With CLONE_PIDFD.
    pub pidfd: usize,
    /// Ids wanted, innermost namespace first.
    pub set_tid: Vec<u32>,
    /// With CLONE_INTO_CGROUP: a descriptor of its directory.
    pub cgroup: u64,
}

/// Makes a thread or a process; returns its id as the caller sees it.
///
/// # Errors
/// As clone(2).
pub fn clone(context: &mut Context<'_>, request: &CloneRequest) -> Result<u32> {
    let flags = request.flags;
    check(context, flags)?;
    let into = match flags & CLONE_INTO_CGROUP {
        0 => None,
        _ => Some(cgroupfs::target_of_clone(context, request.cgroup)?),
    };
    let seat = Reservation::new(context.process, into)?;
    let mut credentials = context.process.credentials();
    if flags & CLONE_NEWUSER != 0 {
        credentials = Arc::new(enter::in_new_user_namespace(context.thread, &credentials)?);
    }
    if flags & super::namespace::CLONE_NAMESPACES != 0 && !credentials.has_own(Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let id = Pid::allocate(&child_namespace(context, flags, &credentials)?, &request.set_tid)?;
    let own_number = id.number_in(context.process.pid_namespace());
    let child_process = if flags & CLONE_THREAD != 0 {
        context.process.clone()
    } else {
        new_process(context, request, &id, credentials.clone())?
    };
    let stack = *context.thread.signals.alternate_stack.lock();
    // A thread that shares memory would share the alternate stack: it gets none (sigaltstack(2)); after vfork the parent sleeps.
    let stack = if flags & (CLONE_VM | CLONE_VFORK) == CLONE_VM { NO_ALTERNATE_STACK } else { stack };
    let mask = context.thread.signals.mask();
    let around = surroundings(context, flags, &id, &seat, &credentials)?;
    let thread = Thread::new(child_process.clone(), id.clone(), mask, stack, context.thread.name(), around);
    if flags & CLONE_CHILD_CLEARTID != 0 {
        thread.clear_child_tid.store(request.child_tid, Ordering::Relaxed);
    }

    let mut user = context.user.clone();
    user.regs.rax = 0;
    if request.stack_pointer != 0 {
        user.regs.rsp = request.stack_pointer;
    }
    if flags & CLONE_SETTLS != 0 {
        user.regs.fs_base = request.tls;
    }
    let set_tid_at = (flags & CLONE_CHILD_SETTID != 0).then_some(request.child_tid);
    let task =
        user_loop::make_task(&thread, user, set_tid_at).inspect_err(|_| abandon(&child_process, flags))?;
    if flags & CLONE_PIDFD != 0 {
        let installed = pidfd::install(context.process, &id, false)
            .and_then(|fd| UserPtr::<i32>::new(request.pidfd).write(&fd.0));
        installed.inspect_err(|_| abandon(&child_process, flags))?;
    }
    if flags & CLONE_PARENT_SETTID != 0 {
        // clone(2) says nothing of a bad address, and Linux ignores it.
        let _ = UserPtr::<u32>::new(request.parent_tid).write(&own_number);
    }

    let vfork_done = (flags & CLONE_VFORK != 0).then(|| {
        let done = Arc::new(VforkDone::default());
        child_process.set_vfork_parent(done.clone());
        done
    });
    publish(context, &child_process, thread, flags, seat)?;
    task.start();
    if let Some(done) = vfork_done {
        wait_for_vfork(context.thread, &done);
    }
    Ok(own_number)
}

/// Combinations that clone(2) refuses.
fn check(context: &Context<'_>, flags: u64) -> Result<()> {
    let has = |flag: u64| flags & flag != 0;
    if flags & (CLONE_NEWNS | CLONE_FS) == CLONE_NEWNS | CLONE_FS {
        return Err(Error::with(Errno::EINVAL, "a new mount namespace cannot share its place"));
    }
    if has(CLONE_THREAD) && !has(CLONE_SIGHAND) || has(CLONE_SIGHAND) && !has(CLONE_VM) {
        return Err(Error::with(Errno::EINVAL, "threads share signals, and signals memory"));
    }
    if has(CLONE_FS) && has(CLONE_NEWUSER) || has(CLONE_SYSVSEM) && has(CLONE_NEWIPC) {
        return Err(Error::with(Errno::EINVAL, "what a new namespace has to itself cannot be shared"));
    }
    if has(CLONE_THREAD) && has(CLONE_NEWPID | CLONE_NEWUSER)
        || has(CLONE_CLEAR_SIGHAND) && has(CLONE_SIGHAND)
    {
        return Err(Errno::EINVAL.into());
    }
    if has(CLONE_PIDFD) && has(CLONE_DETACHED | CLONE_THREAD) {
        return Err(Errno::EINVAL.into());
    }
    if has(CLONE_PARENT) && context.process.is_namespace_init() {
        return Err(Errno::EINVAL.into());
    }
    if has(CLONE_THREAD) && has(CLONE_INTO_CGROUP) {
        return Err(Error::with(Errno::EINVAL, "threads of a process are in one group"));
    }
    let namespaces = context.thread.namespaces()?;
    // A process whose children go to another pid namespace cannot have more threads of its own (unshare(2)).
    if has(CLONE_THREAD) && !Arc::ptr_eq(&namespaces.pid_for_children, context.process.pid_namespace()) {
        return Err(Errno::EINVAL.into());
    }
    super::namespace::check_flags(flags)?;
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    check_process_limit(context.process)
}

/// The machine's limit binds everybody. RLIMIT_NPROC counts the threads of a user, but binds neither root nor the capable.
fn check_process_limit(process: &Process) -> Result<()> {
    if PidNamespace::initial().len() >= table::threads_max() {
        return Err(Error::with(Errno::EAGAIN, "there are as many threads as memory allows"));
    }
    let (limit, _) = process.rlimit(Resource::Processes);
    let credentials = process.credentials();
    let is_exempt = credentials.uid[0] == 0
        || credentials.has(Capability::SysResource)
        || credentials.has(Capability::SysAdmin);
    if limit == INFINITY || is_exempt {
        return Ok(());
    }
    let mut count = 0;
    table::for_each(|other| {
        if other.credentials().uid[0] == credentials.uid[0] {
            count += other.thread_count() as u64;
        }
        count < limit
    });
    if count >= limit { Err(Error::with(Errno::EAGAIN, "RLIMIT_NPROC is used up")) } else { Ok(()) }
}

fn child_namespace(
    context: &Context<'_>,
    flags: u64,
    credentials: &Credentials,
) -> Result<Arc<PidNamespace>> {
    if flags & CLONE_THREAD != 0 {
        return Ok(context.process.pid_namespace().clone());
    }
    let for_children = &context.thread.namespaces()?.pid_for_children;
    if flags & CLONE_NEWPID != 0 {
        return PidNamespace::new(for_children, &credentials.user);
    }
    Ok(for_children.clone())
}

/// Place and namespaces of the new thread.
fn surroundings(
    context: &Context<'_>,
    flags: u64,
    id: &Arc<Pid>,
    seat: &Reservation,
    credentials: &Credentials,
) -> Result<Surroundings> {
    let Surroundings { place, namespaces } = context.thread.surroundings().ok_or(Errno::ESRCH)?;
    let place = if flags & CLONE_FS != 0 { place } else { Arc::new(place.duplicate()) };
    if flags & super::namespace::CLONE_NAMESPACES == 0 {
        return Ok(Surroundings { place, namespaces });
    }
    // The new pid namespace is the one that the id was made in.
    let cgroup = seat.cgroup(context.process);
    let new = namespaces.with_new(flags & !CLONE_NEWPID, &place, cgroup, &credentials.user)?;
    let pid_for_children =
        if flags & CLONE_NEWPID != 0 { id.namespace().clone() } else { new.pid_for_children.clone() };
    Ok(Surroundings { place, namespaces: Arc::new(Namespaces { pid_for_children, ..new }) })
}

fn new_process(
    context: &Context<'_>,
    request: &CloneRequest,
    id: &Arc<Pid>,
    credentials: Arc<Credentials>,
) -> Result<Arc<Process>> {
    let (parent, flags) = (context.process, request.flags);
    let space = parent.address_space().ok_or(Errno::ESRCH)?;
    let space = if flags & CLONE_VM != 0 { space } else { space.fork()? };
    let fds = parent.fds();
    let fds = if flags & CLONE_FILES != 0 { fds } else { Arc::new(fds.duplicate()?) };
    let actions = parent.signals.actions();
    let actions = if flags & CLONE_SIGHAND != 0 {
        actions
    } else {
        let copy = actions.duplicate();
        if flags & CLONE_CLEAR_SIGHAND != 0 {
            copy.reset_handlers();
        }
        Arc::new(copy)
    };
    let exit_signal = match flags & CLONE_PARENT {
        0 => request.exit_signal,
        _ => parent.exit_signal(),
    };
    let mut program = parent.program();
    program.unknown_calls.clear();
    let child = Process::new(Parts {
        id: id.clone(),
        address_space: Some(space),
        fds,
        credentials,
        limits: parent.limits(),
        actions,
        group: parent.group(),
        program,
        exit_signal,
    });
    child.set_dumpable(parent.dumpable());
    child.set_personality(parent.personality());
    Ok(child)
}

/// Makes the child known: to its process, to its parent.
fn publish(
    context: &Context<'_>,
    child: &Arc<Process>,
    thread: Arc<Thread>,
    flags: u64,
    seat: Reservation,
) -> Result<()> {
    let caller = context.process;
    let tree = TREE.lock();
    thread.seccomp.inherit(&context.thread.seccomp);
    // Whoever kills the process now has seen all its threads, and whoever kills the group all its members.
    if let Err(error) = Membership::join(child, caller, seat) {
        drop(tree);
        abandon(child, flags);
        return Err(error);
    }
    child.add_thread(thread.clone());
    crate::cgroup::follow_new(&thread);
    if flags & CLONE_THREAD != 0 {
        return Ok(());
    }
    let parent = if flags & CLONE_PARENT != 0 { caller.parent() } else { None };
    let parent = parent.unwrap_or_else(|| caller.clone());
    child.family().lock().parent = Arc::downgrade(&parent);
    parent.family().lock().children.insert(child.pid(), child.clone());
    if child.is_namespace_init() {
        child.pid_namespace().set_init(child);
    }
    Ok(())
}

/// A child that never ran.
fn abandon(child: &Arc<Process>, flags: u64) {
    if flags & CLONE_THREAD == 0 {
        let group: Arc<ProcessGroup> = child.group();
        group.leave(child);
    }
}

/// Sleeps until the child has let go of the memory; only death ends it early.
fn wait_for_vfork(thread: &Thread, done: &VforkDone) {
    let waiter = Waiter::new();
    let _killable = thread.wake_on_signal(waiter.waker().clone());
    crate::cgroup::enter_frozen(thread);
    loop {
        done.queue().enqueue(waiter.waker().clone());
        if done.is_done() || thread.is_dying() {
            done.queue().remove(waiter.waker());
            break;
        }
        waiter.wait();
    }
    crate::cgroup::park(thread);
}
