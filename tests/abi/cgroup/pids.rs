//! The pids controller.

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::{Group, sleeper_in};
use crate::case::{Outcome, cases, check, check_eq};
use crate::child;

cases!("cgroup":
    tasks_are_counted_here_and_above,
    more_tasks_than_allowed_are_refused,
    a_zombie_counts_until_it_was_waited_for,
    moving_is_never_refused,
    limits_are_numbers_or_max,
);

fn current(group: &Group) -> Outcome<u64> {
    group.value("pids.current", "")
}

fn tasks_are_counted_here_and_above() -> Outcome {
    let group = Group::new()?;
    group.write("cgroup.subtree_control", "+pids")?;
    let inner = group.child("inner")?;
    let child = sleeper_in(&inner)?;
    check_eq!((current(&inner)?, current(&group)?), (1, 1));
    child::passes(|| {
        inner.put(0)?;
        check_eq!((current(&inner)?, current(&group)?), (2, 2));
        let thread = std::thread::spawn(std::thread::park);
        check_eq!(current(&inner)?, 3);
        thread.thread().unpark();
        let _ = thread.join();
        child::until("the thread is gone", || Ok(current(&inner)? == 2))
    })?;
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    check_eq!((current(&inner)?, current(&group)?), (0, 0));
    Ok(())
}

fn more_tasks_than_allowed_are_refused() -> Outcome {
    let group = Group::new()?;
    group.write("cgroup.subtree_control", "+pids")?;
    let inner = group.child("inner")?;
    inner.write("pids.max", 3)?;
    check_eq!(inner.read("pids.events")?.lines().next(), Some("max 0"));
    child::passes(|| {
        inner.put(0)?;
        let children = [sleeper_in(&inner)?, sleeper_in(&inner)?];
        check_eq!(child::fork(|| 0).err(), Some(Errno::EAGAIN));
        check!(std::thread::Builder::new().spawn(|| ()).is_err());
        check!(inner.value("pids.events", "max")? >= 2);
        for child in &children {
            child.kill(Signal::SIGKILL)?;
            child.wait()?;
        }
        check_eq!(child::fork(|| 5)?.exit_code()?, 5);
        // The limit of a group above binds as well.
        group.write("pids.max", 1)?;
        check_eq!(child::fork(|| 0).err(), Some(Errno::EAGAIN));
        group.write("pids.max", "max")?;
        check_eq!(child::fork(|| 5)?.exit_code()?, 5);
        Ok(())
    })
}

fn a_zombie_counts_until_it_was_waited_for() -> Outcome {
    let group = Group::new()?;
    let child = sleeper_in(&group)?;
    child.kill(Signal::SIGKILL)?;
    child::until("it has ended", || Ok(child.state()? == 'Z'))?;
    check_eq!(current(&group)?, 1);
    child.wait()?;
    check_eq!(current(&group)?, 0);
    Ok(())
}

fn moving_is_never_refused() -> Outcome {
    let group = Group::new()?;
    group.write("pids.max", 0)?;
    let child = sleeper_in(&group)?;
    check_eq!(current(&group)?, 1);
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn limits_are_numbers_or_max() -> Outcome {
    let group = Group::new()?;
    check_eq!(group.read("pids.max")?, "max\n");
    group.write("pids.max", "7\n")?;
    check_eq!(group.read("pids.max")?, "7\n");
    for bad in ["-1", "word", ""] {
        let error = std::fs::OpenOptions::new()
            .write(true)
            .open(group.file("pids.max"))
            .and_then(|file| nix::unistd::write(&file, bad.as_bytes()).map_err(Into::into));
        check!(error.is_err() || bad.is_empty(), "{bad:?}");
    }
    check_eq!(group.read("pids.max")?, "7\n");
    group.write("pids.max", "max")?;
    check_eq!(group.read("pids.max")?, "max\n");
    Ok(())
}
