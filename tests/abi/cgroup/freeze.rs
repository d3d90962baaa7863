//! `cgroup.freeze`: processes come to rest, and nobody but the group's files can tell.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::{Group, sleeper_in};
use crate::case::{Outcome, cases, check, check_eq};
use crate::child;
use crate::memory::Mapping;

cases!("cgroup":
    freezing_stops_and_thawing_goes_on,
    a_frozen_process_is_not_stopped,
    a_frozen_process_can_be_killed,
    freezing_reaches_groups_below_and_newcomers,
    an_empty_group_is_frozen_at_once,
    sleeps_go_on_after_a_thaw,
    a_process_that_moves_out_thaws,
    many_threads_freeze_together,
);

fn is_frozen(group: &Group) -> Outcome<bool> {
    Ok(group.value("cgroup.events", "frozen")? == 1)
}

fn freeze(group: &Group) -> Outcome {
    group.write("cgroup.freeze", 1)?;
    child::until("the group is frozen", || is_frozen(group))
}

/// A child in the group that counts in memory that it shares with us.
fn counter_in(group: &Group, shared: &Mapping) -> Outcome<child::Child> {
    let child = child::fork(|| {
        loop {
            shared.set(0, shared.byte(0).wrapping_add(1));
            std::thread::yield_now();
        }
    })?;
    group.put(child.pid.as_raw())?;
    Ok(child)
}

/// Whether the count changes within a moment.
fn runs(shared: &Mapping) -> bool {
    let before = shared.byte(0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        if shared.byte(0) != before {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

fn freezing_stops_and_thawing_goes_on() -> Outcome {
    let group = Group::new()?;
    let shared = Mapping::shared(4096)?;
    let child = counter_in(&group, &shared)?;
    check!(runs(&shared));
    check_eq!(group.read("cgroup.freeze")?, "0\n");
    freeze(&group)?;
    check_eq!(group.read("cgroup.freeze")?, "1\n");
    std::thread::sleep(Duration::from_millis(20));
    check!(!runs(&shared));
    group.write("cgroup.freeze", 0)?;
    check!(!is_frozen(&group)?);
    check!(runs(&shared));
    check_eq!(group.write("cgroup.freeze", 2).err().and_then(|e| e.raw_os_error()), Some(libc::ERANGE));
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn a_frozen_process_is_not_stopped() -> Outcome {
    let group = Group::new()?;
    let child = child::fork(|| {
        // Terminated only by the second one.
        let handled = nix::sys::signal::SaFlags::SA_RESETHAND;
        let handler = nix::sys::signal::SigHandler::Handler(ignore);
        let action = nix::sys::signal::SigAction::new(handler, handled, nix::sys::signal::SigSet::empty());
        // SAFETY: the handler does nothing.
        if unsafe { nix::sys::signal::sigaction(Signal::SIGTERM, &action) }.is_err() {
            return 1;
        }
        nix::unistd::pause();
        5
    })?;
    group.put(child.pid.as_raw())?;
    child.until_asleep()?;
    freeze(&group)?;
    let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    check_eq!(waitpid(child.pid, Some(flags))?, WaitStatus::StillAlive);
    check!(child.state()? != 'T', "{}", child.state()?);
    // A handler waits for the thaw.
    child.kill(Signal::SIGTERM)?;
    std::thread::sleep(Duration::from_millis(30));
    check_eq!(child.poll()?, WaitStatus::StillAlive);
    group.write("cgroup.freeze", 0)?;
    check_eq!(child.exit_code()?, 5);
    Ok(())
}

extern "C" fn ignore(_: libc::c_int) {}

fn a_frozen_process_can_be_killed() -> Outcome {
    let group = Group::new()?;
    let child = sleeper_in(&group)?;
    freeze(&group)?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    let child = sleeper_in(&group)?;
    child::until("the newcomer is frozen", || is_frozen(&group))?;
    group.write("cgroup.kill", 1)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    // So do signals whose default action is the end.
    group.write("cgroup.freeze", 0)?;
    let child = sleeper_in(&group)?;
    child.until_asleep()?;
    freeze(&group)?;
    child.kill(Signal::SIGTERM)?;
    check_eq!(child.end_signal()?, Signal::SIGTERM);
    Ok(())
}

fn freezing_reaches_groups_below_and_newcomers() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    let shared = Mapping::shared(4096)?;
    let child = counter_in(&inner, &shared)?;
    freeze(&group)?;
    check!(is_frozen(&inner)?);
    check_eq!(inner.read("cgroup.freeze")?, "0\n");
    // What the inner group wants changes nothing as long as the outer one is frozen.
    inner.write("cgroup.freeze", 1)?;
    inner.write("cgroup.freeze", 0)?;
    std::thread::sleep(Duration::from_millis(20));
    check!(!runs(&shared));
    let newcomer = sleeper_in(&inner)?;
    child::until("the newcomer is frozen", || is_frozen(&group))?;
    inner.write("cgroup.freeze", 1)?;
    group.write("cgroup.freeze", 0)?;
    check!(is_frozen(&inner)?);
    check!(!is_frozen(&group)?);
    inner.write("cgroup.freeze", 0)?;
    check!(runs(&shared));
    for child in [child, newcomer] {
        child.kill(Signal::SIGKILL)?;
        child.wait()?;
    }
    Ok(())
}

fn an_empty_group_is_frozen_at_once() -> Outcome {
    let group = Group::new()?;
    group.write("cgroup.freeze", 1)?;
    check!(is_frozen(&group)?);
    let inner = group.child("inner")?;
    check!(is_frozen(&inner)?);
    check!(is_frozen(&group)?);
    group.write("cgroup.freeze", 0)?;
    check!(!is_frozen(&inner)?);
    Ok(())
}

fn sleeps_go_on_after_a_thaw() -> Outcome {
    let group = Group::new()?;
    let start = Instant::now();
    let child = child::fork(|| {
        std::thread::sleep(Duration::from_millis(400));
        let slept_long = start.elapsed() >= Duration::from_millis(400);
        i32::from(!slept_long)
    })?;
    group.put(child.pid.as_raw())?;
    child.until_asleep()?;
    freeze(&group)?;
    std::thread::sleep(Duration::from_millis(50));
    group.write("cgroup.freeze", 0)?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn a_process_that_moves_out_thaws() -> Outcome {
    let group = Group::new()?;
    let (cold, warm) = (group.child("cold")?, group.child("warm")?);
    let shared = Mapping::shared(4096)?;
    let child = counter_in(&cold, &shared)?;
    freeze(&cold)?;
    warm.put(child.pid.as_raw())?;
    check!(runs(&shared));
    check!(is_frozen(&cold)?);
    cold.put(child.pid.as_raw())?;
    child::until("it is frozen again", || is_frozen(&cold))?;
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn many_threads_freeze_together() -> Outcome {
    let group = Group::new()?;
    let child = child::fork(|| {
        let threads: Vec<_> = (0..12_u64)
            .map(|number| {
                std::thread::spawn(move || {
                    for round in 0.. {
                        match (number + round) % 3 {
                            0 => std::thread::yield_now(),
                            1 => std::thread::sleep(Duration::from_micros(200)),
                            _ => drop(std::fs::metadata("/")),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
        0
    })?;
    group.put(child.pid.as_raw())?;
    for _ in 0..10 {
        freeze(&group)?;
        group.write("cgroup.freeze", 0)?;
        std::thread::sleep(Duration::from_millis(5));
        check!(!is_frozen(&group)?);
    }
    freeze(&group)?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    Ok(())
}
