//! execve(2): another program in the same process.
//!
//! Up to [`replace`] everything can fail and nothing has changed; from there on a failure kills.

use super::credentials::Credentials;
use super::{Process, Program};
use crate::error::{Errno, Result};
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::place::Path;
use crate::loader::stack::{Stack, key};
use crate::loader::{Arguments, Image, map};
use crate::mm::map::Place;
use crate::mm::{AddressSpace, AreaFlags, Limits, MapRequest};
use crate::process::rlimit::Resource;
use crate::signal::state::NO_ALTERNATE_STACK;
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ostd::mm::{PageFlags, page_up};
use ostd::sync::Waiter;
use ostd::user::{Regs, UserContext};

/// Room on the stack beyond the arguments that is mapped from the start.
const STACK_ROOM: usize = 128 << 10;
/// personality(2): no random places.
const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;
/// personality(2): readable means executable.
const READ_IMPLIES_EXEC: u32 = 0x0040_0000;

/// A program that is ready to run.
struct Prepared {
    space: Arc<AddressSpace>,
    mapped: map::Mapped,
    interpreter: Option<map::Mapped>,
    stack: Stack,
}

/// Replaces the current process's program by the one at `path`. `name` is how user space called it.
///
/// # Errors
/// As execve(2).
pub fn execute(
    thread: &Arc<Thread>,
    user: &mut UserContext,
    path: Path,
    name: &[u8],
    mut arguments: Arguments,
) -> Result<()> {
    let process = thread.process();
    let start = LookupStart::of(thread);
    arguments.check(process.rlimit(Resource::Stack).0)?;
    let image = Image::open(&start, path, name, &mut arguments)?;
    arguments.check(process.rlimit(Resource::Stack).0)?;
    let credentials =
        super::credentials::for_program(&process.credentials(), image.elf.file.path(), process)?;
    let prepared = prepare(process, &image, &arguments, name, &credentials)?;
    end_other_threads(thread)?;
    process.replace_fds(Some(own_fds(process)?));
    replace(thread, user, image, prepared, credentials);
    Ok(())
}

/// Builds the new address space beside the old one.
fn prepare(
    process: &Process,
    image: &Image,
    arguments: &Arguments,
    name: &[u8],
    credentials: &Credentials,
) -> Result<Prepared> {
    let stack_limit = process.rlimit(Resource::Stack).0;
    let limits = Limits::none(stack_limit);
    let is_random = process.personality() & ADDR_NO_RANDOMIZE == 0;
    let space = AddressSpace::new(is_random, stack_limit)?;
    space.set_account(process.cgroup.get().memory.account());
    let mapped = map::map(&space, &image.elf, Place::Hint(space.layout().program), &limits)?;
    let interpreter = match &image.interpreter {
        Some(elf) => Some(map::map(&space, elf, Place::Hint(0), &limits)?),
        None => None,
    };
    space.set_heap_start(mapped.span.end + space.layout().heap_gap);
    let vdso = crate::vdso::map(&space).ok();

    let auxv =
        auxiliary_vector(image, &mapped, interpreter.as_ref(), vdso, credentials, &process.credentials());
    let mut random = [0; 16];
    crate::random::fill(&mut random);
    let top = space.layout().stack_top;
    let stack = Stack::lay_out(top, arguments, name, &random, auxv)?;
    let is_executable =
        image.elf.program.executable_stack.unwrap_or(true) || process.personality() & READ_IMPLIES_EXEC != 0;
    let mut rights = PageFlags::READ | PageFlags::WRITE;
    rights.set(PageFlags::EXECUTE, is_executable);
    let len = page_up(stack.len() + STACK_ROOM).ok_or(Errno::E2BIG)?;
    let request = MapRequest {
        flags: AreaFlags::GROWS_DOWN | AreaFlags::STACK,
        ..MapRequest::anonymous(Place::Fixed(top - len), len, rights)
    };
    space.map(&request, &limits)?;
    Ok(Prepared { space, mapped, interpreter, stack })
}

fn auxiliary_vector(
    image: &Image,
    mapped: &map::Mapped,
    interpreter: Option<&map::Mapped>,
    vdso: Option<usize>,
    credentials: &Credentials,
    old: &Credentials,
) -> Vec<(u64, u64)> {
    let mut auxv = Vec::with_capacity(24);
    if let Some(vdso) = vdso {
        auxv.push((key::SYSINFO_EHDR, vdso as u64));
    }
    let is_secure = credentials.is_privileged_over(old);
    auxv.extend([
        (key::MINSIGSTKSZ, crate::signal::frame::min_stack() as u64),
        (key::HWCAP, ostd::cpu::hwcap()),
        (key::PAGESZ, ostd::mm::PAGE_SIZE as u64),
        (key::CLKTCK, 100),
        (key::PHDR, mapped.table as u64),
        (key::PHENT, coffer_elf::PROGRAM_HEADER_LEN as u64),
        (key::PHNUM, image.elf.header.table_len as u64),
        (key::BASE, interpreter.map_or(0, |mapped| mapped.span.start as u64)),
        (key::FLAGS, 0),
        (key::ENTRY, mapped.entry as u64),
        (key::UID, u64::from(credentials.shown_uid(credentials.uid[0]))),
        (key::EUID, u64::from(credentials.shown_uid(credentials.uid[1]))),
        (key::GID, u64::from(credentials.shown_gid(credentials.gid[0]))),
        (key::EGID, u64::from(credentials.shown_gid(credentials.gid[1]))),
        (key::SECURE, u64::from(is_secure)),
        (key::HWCAP2, 0),
    ]);
    auxv
}

/// Ends all other threads of the process; the current one takes the first one's place (execve(2), "Effect on process attributes").
fn end_other_threads(thread: &Arc<Thread>) -> Result<()> {
    let process = thread.process();
    if process.thread_count() > 1 {
        process.for_each_thread(|other| {
            if !Arc::ptr_eq(other, thread) {
                other.order_exit();
            }
            true
        });
        wait_for_others(thread)?;
    }
    if !thread.is_leader() {
        thread.take_over_id(process.id().clone());
        crate::cgroup::Membership::took_first_place(process);
    }
    Ok(())
}

/// Sleeps until all other threads have left. Signals wait until the new program runs; of two threads that execute at once, each ordered the other to
/// exit: the first to see it gives up.
fn wait_for_others(thread: &Arc<Thread>) -> Result<()> {
    let process = thread.process();
    let waiter = Waiter::new();
    let _killable = thread.wake_on_signal(waiter.waker().clone());
    loop {
        process.signals.resumed.enqueue(waiter.waker().clone());
        let is_alone = process.thread_count() == 1;
        if is_alone || thread.is_dying() {
            process.signals.resumed.remove(waiter.waker());
            return if is_alone { Ok(()) } else { Err(Errno::EAGAIN.into()) };
        }
        waiter.wait();
    }
}

/// The point of no return.
fn replace(
    thread: &Arc<Thread>,
    user: &mut UserContext,
    image: Image,
    prepared: Prepared,
    credentials: Credentials,
) {
    let process = thread.process();
    let Prepared { space, mapped, interpreter, stack } = prepared;
    leave_old_memory(thread);
    space.activate();
    let old = process.replace_address_space(Some(space));
    if let Some(old) = old {
        process.times.keep_memory_use(old.peak_resident_pages(), old.fault_counts());
    }

    process.fds().close_on_exec();
    let actions = process.signals.actions().duplicate();
    actions.reset_handlers();
    process.signals.set_actions(Arc::new(actions));
    *thread.signals.alternate_stack.lock() = NO_ALTERNATE_STACK;
    if credentials.is_privileged_over(&process.credentials()) {
        process.set_dumpable(0);
        process.set_parent_death_signal(None);
    } else {
        process.set_dumpable(1);
    }
    process.set_credentials(credentials);
    process.timers.delete_posix();
    process.note_execution();
    process.reset_exit_signal();

    let executable = image.elf.file.path().clone();
    thread.set_name(&executable.dentry.name());
    process.set_program(Program {
        executable: Some(executable),
        execution: Some(Arc::new(image.elf.execution)),
        arguments: stack.arguments.clone(),
        environment: stack.environment.clone(),
        auxv: stack.auxv.as_slice().into(),
        unknown_calls: Vec::new(),
    });

    ostd::user::reset_extended_state();
    let entry = interpreter.as_ref().map_or(mapped.entry, |interpreter| interpreter.entry);
    user.regs = Regs { rip: entry as u64, rsp: stack.pointer as u64, ..Regs::default() };
    let written = mapped
        .clear_tails()
        .and_then(|()| interpreter.as_ref().map_or(Ok(()), map::Mapped::clear_tails))
        .and_then(|()| stack.write());
    if let Err(error) = written {
        let line = format_args!("{}: program could not be set up: {error:?}", process.pid());
        super::log::write(log::Level::Warn, line);
        process.signals.begin_exit(super::exit_status::ExitStatus::Killed(crate::signal::Signal::SEGV));
    }
}

/// What the old memory is still owed: locks are given up, the joiner of a thread is told.
fn leave_old_memory(thread: &Arc<Thread>) {
    super::exit::release_user_locks(thread);
    thread.clear_child_tid.store(0, Ordering::Relaxed);
    thread.robust_list.store(0, Ordering::Relaxed);
}

/// Descriptors that no other process shares: execve(2) ends CLONE_FILES.
fn own_fds(process: &Process) -> Result<Arc<crate::fs::fd_table::FdTable>> {
    let fds = process.fds();
    // Two: the process's own and this one.
    if Arc::strong_count(&fds) > 2 { Ok(Arc::new(fds.duplicate()?)) } else { Ok(fds) }
}
