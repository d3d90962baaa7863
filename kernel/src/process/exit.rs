//! The end of threads and processes (exit(2), exit_group(2)): what is let go of, who inherits the children, who is told.

use super::exit_status::ExitStatus;
use super::{Process, TREE};
use crate::cgroup::Membership;
use crate::signal::send;
use crate::signal::{SigFields, SigInfo, Signal};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::signal::{CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SIG_IGN};
use core::sync::atomic::Ordering;

/// Ends the whole process of `thread`: exit_group(2), or a fatal signal. The current thread leaves by itself, on its way back to user space.
pub fn begin_group_exit(process: &Process, status: ExitStatus) {
    process.signals.begin_exit(status);
    process.for_each_thread(|thread| {
        thread.interrupt();
        true
    });
}

/// The current thread's last act.
pub fn leave(thread: &Arc<Thread>) {
    let process = thread.process();
    release_user_locks(thread);
    tell_joiner(thread);
    process.times.add_thread(thread.cpu_times());
    let left = process.remove_thread(thread);
    Membership::thread_left(process, thread);
    if left > 0 {
        if !thread.is_leader() {
            thread.id().detach();
        }
        thread.replace_surroundings(None);
        // Whoever waits for the others to leave (execve), or to stop.
        process.signals.resumed.wake_all();
        crate::signal::stop::note_thread_left(process);
        return;
    }
    let status = ExitStatus::Exited(thread.exit_code.load(Ordering::Relaxed) as u8);
    end_process(thread, process.signals.begin_exit(status));
}

/// Marks robust futexes that the thread holds.
pub fn release_user_locks(thread: &Arc<Thread>) {
    let head = thread.robust_list.load(Ordering::Relaxed);
    let process = thread.process();
    if head != 0
        && let Some(space) = process.address_space()
    {
        crate::thread::futex::release_robust_list(&space, head, thread.tid_in(process.pid_namespace()));
    }
}

/// Stores 0 at the address of set_tid_address(2) and wakes who waits for it there (pthread_join).
fn tell_joiner(thread: &Arc<Thread>) {
    let address = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    if address == 0 {
        return;
    }
    // Nobody is left to look at memory that goes away, and memory that is bad is the thread's own affair.
    let process = thread.process();
    if let Some(space) = process.address_space()
        && crate::syscall::UserPtr::<u32>::new(address).write(&0).is_ok()
    {
        let _ = crate::thread::futex::wake(&space, address, false, 1, crate::thread::futex::ANY);
    }
}

fn end_process(thread: &Thread, status: ExitStatus) {
    let process = thread.process();
    if process.is_init() {
        panic!("init exited with {status:?}");
    }
    if process.is_namespace_init() {
        end_namespace(process);
    }
    process.timers.stop_all();
    process.semaphore_undo.run(process);
    if let Some(space) = process.address_space() {
        process.times.keep_memory_use(space.peak_resident_pages(), space.fault_counts());
    }
    ostd::mm::VmSpace::deactivate_current();
    drop(process.replace_address_space(None));
    let fds = process.replace_fds(None);
    if Arc::strong_count(&fds) == 1 {
        fds.close_all();
    }
    drop(fds);
    thread.replace_surroundings(None);
    process.set_program(super::Program::default());
    let session = process.session();
    if Arc::ptr_eq(session.id(), process.id()) {
        crate::device::tty::job::leader_ends(&session);
    }

    // Whoever has waited for it finds that it is gone.
    Membership::ended(process);
    let mut orphaned_groups = Vec::new();
    let reaped = {
        let _tree = TREE.lock();
        let mut reaped = hand_over_children(process, &mut orphaned_groups);
        process.set_exit_status(status);
        orphaned_groups.push(process.group());
        if tell_parent(process, status) && process.claim_zombie() {
            // Before anybody can see that there is no such child any more.
            process.id().detach();
            reaped.push(process.clone());
        }
        reaped
    };
    process.id().note_end();
    // An init that ends waits for all others.
    process.pid_namespace().released().wake_all();
    for group in orphaned_groups {
        if group.has_stopped() && group.is_orphaned() {
            let _ = send::to_group(&group, SigInfo::kernel(Signal::HUP));
            let _ = send::to_group(&group, SigInfo::kernel(Signal::CONT));
        }
    }
    for zombie in reaped {
        release(&zombie);
    }
}

/// The end of a pid namespace's init is the end of all in it (pid_namespaces(7)).
fn end_namespace(init: &Arc<Process>) {
    let namespace = init.pid_namespace();
    namespace.end();
    let others = || {
        namespace.all().into_iter().filter_map(|pid| pid.process()).filter(|other| !Arc::ptr_eq(other, init))
    };
    for other in others() {
        // Its own authority, not a signal's: members that are inits of nested namespaces get no exemption.
        begin_group_exit(&other, ExitStatus::Killed(Signal::KILL));
    }
    // Whoever is not a child of ours, or of one of ours, is somebody else's to reap; it only has to be dead.
    namespace.released().wait_until(|| {
        reap_zombies(init);
        others().all(|other| other.exit_status().is_some()).then_some(())
    });
    reap_zombies(init);
}

fn reap_zombies(parent: &Arc<Process>) {
    for child in parent.children() {
        if child.exit_status().is_some() {
            release(&child);
        }
    }
}

/// Gives the children to whoever reaps orphans; returns those that nobody will wait for. [`TREE`] is held.
fn hand_over_children(
    process: &Arc<Process>,
    groups: &mut Vec<Arc<super::group::ProcessGroup>>,
) -> Vec<Arc<Process>> {
    let children = core::mem::take(&mut process.family().lock().children);
    let mut reaped = Vec::new();
    if children.is_empty() {
        return reaped;
    }
    let reaper = find_reaper(process);
    for (pid, child) in children {
        child.family().lock().parent = Arc::downgrade(&reaper);
        reaper.family().lock().children.insert(pid, child.clone());
        if let Some(signal) = child.parent_death_signal() {
            let _ = send::to_process(&child, SigInfo::from_process(signal, 0, process));
        }
        child.reset_exit_signal();
        let group = child.group();
        if !groups.iter().any(|other| Arc::ptr_eq(other, &group)) {
            groups.push(group);
        }
        if let Some(status) = child.exit_status()
            && tell_parent(&child, status)
            && child.claim_zombie()
        {
            reaped.push(child);
        }
    }
    reaped
}

/// The nearest living subreaper among the ancestors in the same pid namespace, else that namespace's init.
fn find_reaper(process: &Arc<Process>) -> Arc<Process> {
    let mut ancestor = process.parent();
    while let Some(candidate) = ancestor {
        if !Arc::ptr_eq(candidate.pid_namespace(), process.pid_namespace()) {
            break;
        }
        if candidate.is_subreaper() && !candidate.signals.is_exiting() {
            return candidate;
        }
        ancestor = candidate.parent();
    }
    match process.pid_namespace().init() {
        Some(init) if !Arc::ptr_eq(&init, process) => init,
        // The namespace's own init ends: what outside processes put into it goes to its parent.
        _ => process
            .parent()
            .or_else(|| super::table::find_process(1))
            .expect("only the first process has no parent, and the machine goes down with it"),
    }
}

/// Sends the exit signal and wakes wait4(2). `true`: nobody will wait, the zombie is to be released at once. [`TREE`] is held.
fn tell_parent(process: &Arc<Process>, status: ExitStatus) -> bool {
    let Some(parent) = process.parent() else { return true };
    let mut nobody_waits = parent.exit_status().is_some();
    if let Some(signal) = process.exit_signal() {
        let (code, status) = match status {
            ExitStatus::Exited(code) => (CLD_EXITED, i32::from(code)),
            ExitStatus::Killed(signal) => (CLD_KILLED, signal.number()),
        };
        let times = process.cpu_times();
        let fields = SigFields::Child {
            pid: process.pid(),
            uid: process.credentials().uid[0],
            status,
            // Clock ticks of 10 ms.
            utime: (times.user_ns / 10_000_000) as i64,
            stime: (times.system_ns / 10_000_000) as i64,
        };
        let mut is_told = true;
        if signal == Signal::CHLD {
            let action = parent.signals.actions().action(signal);
            if action.sa_handler == SIG_IGN || action.sa_flags & SA_NOCLDWAIT != 0 {
                nobody_waits = true;
                is_told = action.sa_handler != SIG_IGN;
            }
        }
        if is_told {
            let _ = send::to_process(&parent, SigInfo { signal, code, fields });
        }
    }
    parent.child_events.wake_all();
    nobody_waits
}

/// Takes a zombie out of the tree: its parent has its status, or does not want it.
pub fn release(zombie: &Arc<Process>) {
    let parent = {
        let _tree = TREE.lock();
        let parent = zombie.parent();
        if let Some(parent) = &parent {
            let taken = parent.family().lock().children.remove(&zombie.pid());
            if taken.is_none() {
                return;
            }
        }
        zombie.group().leave(zombie);
        // Whoever still holds its id holds nobody's.
        zombie.id().detach();
        parent
    };
    Membership::released(zombie);
    if let Some(parent) = parent {
        parent.times.add_child(&zombie.times);
        // Somebody may wait for the last child to go (ECHILD).
        parent.child_events.wake_all();
    }
    crate::fs::proc::forget(zombie);
    zombie.pid_namespace().released().wake_all();
}
