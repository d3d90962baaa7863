//! The memory controller.

use std::fs;
use std::io::Write;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;

use super::Group;
use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child::{self, Child};

cases!("cgroup":
    memory_is_counted_here_and_above,
    a_group_that_is_full_loses_a_process,
    others_do_not_pay_for_a_group_that_is_full,
    files_in_memory_count_until_they_are_gone,
    copies_after_fork_count,
    a_limit_from_above_binds,
    lowering_a_limit_makes_room,
    a_group_can_end_together,
    past_memory_high_a_process_goes_on,
    memory_limits_are_sizes_or_max,
    memory_keeps_processes_out_of_the_middle,
);

const MIB: usize = 1 << 20;

/// A group with the memory controller, and in it one for processes.
fn groups() -> Outcome<(Group, Group)> {
    let group = Group::new()?;
    fs::write(group.file("../cgroup.subtree_control"), "+memory")?;
    group.write("cgroup.subtree_control", "+memory")?;
    let inner = group.child("inner")?;
    // Where there is swap, it would take what does not fit.
    let _ = inner.write("memory.swap.max", 0);
    Ok((group, inner))
}

fn current(group: &Group) -> Outcome<usize> {
    Ok(group.value("memory.current", "")? as usize)
}

/// Memory of its own, a byte of each page written to.
fn touch(len: usize) -> Vec<u8> {
    let mut memory = vec![0; len];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(memory)
}

/// A child in `group` that runs `body` and then sleeps.
fn child_in(group: &Group, body: impl FnOnce() -> Outcome) -> Outcome<Child> {
    let child = child::fork(|| {
        let result = group.put(0).map_err(Failure::from).and_then(|()| body());
        if let Err(failure) = result {
            println!("  in a child: {failure:?}");
            return 1;
        }
        loop {
            nix::unistd::pause();
        }
    })?;
    Ok(child)
}

fn end(child: &Child) -> Outcome {
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn memory_is_counted_here_and_above() -> Outcome {
    let (group, inner) = groups()?;
    let child = child_in(&inner, || {
        std::mem::forget(touch(16 * MIB));
        Ok(())
    })?;
    child::until("it has touched all", || Ok(current(&inner)? >= 16 * MIB))?;
    check!(current(&group)? >= 16 * MIB);
    check!(current(&inner)? < 32 * MIB, "{}", current(&inner)?);
    child::until("its kind is told", || Ok(inner.value("memory.stat", "anon ")? as usize >= 16 * MIB))?;
    end(&child)?;
    child::until("it was given back", || Ok(current(&inner)? < 2 * MIB && current(&group)? < 2 * MIB))?;
    check!(inner.value("memory.peak", "").map_or(true, |peak| peak as usize >= 16 * MIB));
    Ok(())
}

fn a_group_that_is_full_loses_a_process() -> Outcome {
    let (group, inner) = groups()?;
    inner.write("memory.max", 16 * MIB)?;
    check_eq!(inner.value("memory.events", "oom_kill ")?, 0);
    let child = child_in(&inner, || {
        std::mem::forget(touch(64 * MIB));
        Ok(())
    })?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    check_eq!(inner.value("memory.events", "oom_kill ")?, 1);
    check!(inner.value("memory.events", "max ")? >= 1);
    check_eq!(group.value("memory.events", "oom_kill ")?, 1);
    check!(inner.value("memory.peak", "").map_or(true, |peak| peak as usize <= 16 * MIB));
    // What fits goes on.
    child::passes(|| {
        inner.put(0)?;
        drop(touch(8 * MIB));
        drop(touch(8 * MIB));
        Ok(())
    })
}

fn others_do_not_pay_for_a_group_that_is_full() -> Outcome {
    let (group, inner) = groups()?;
    let other = group.child("other")?;
    let bystander = child_in(&other, || {
        std::mem::forget(touch(48 * MIB));
        Ok(())
    })?;
    child::until("it has touched all", || Ok(current(&other)? >= 48 * MIB))?;
    inner.write("memory.max", 8 * MIB)?;
    let hog = child_in(&inner, || {
        std::mem::forget(touch(32 * MIB));
        Ok(())
    })?;
    check_eq!(hog.end_signal()?, Signal::SIGKILL);
    check_eq!(bystander.state()?, 'S');
    check_eq!(other.value("memory.events", "oom_kill ")?, 0);
    end(&bystander)
}

fn files_in_memory_count_until_they_are_gone() -> Outcome {
    let (_group, inner) = groups()?;
    crate::fs::own_mounts()?;
    fs::create_dir("files")?;
    mount(Some("none"), "files", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    child::passes(|| {
        inner.put(0)?;
        fs::write("files/a", vec![1; 8 * MIB])?;
        Ok(())
    })?;
    check!(current(&inner)? >= 8 * MIB, "{}", current(&inner)?);
    child::until("its kind is told", || Ok(inner.value("memory.stat", "shmem ")? as usize >= 8 * MIB))?;
    inner.write("memory.max", 16 * MIB)?;
    let hog = child_in(&inner, || {
        let mut file = fs::File::create("files/b")?;
        let chunk = vec![2; MIB];
        for _ in 0..32 {
            file.write_all(&chunk)?;
        }
        Ok(())
    })?;
    check_eq!(hog.end_signal()?, Signal::SIGKILL);
    fs::remove_file("files/a")?;
    fs::remove_file("files/b")?;
    child::until("it was given back", || Ok(current(&inner)? < 2 * MIB))
}

fn copies_after_fork_count() -> Outcome {
    let (_group, inner) = groups()?;
    inner.write("memory.max", 24 * MIB)?;
    child::passes(|| {
        inner.put(0)?;
        let mut memory = touch(16 * MIB);
        // Shared until one writes.
        let reader = child::fork(|| i32::from(memory.iter().step_by(4096).any(|byte| *byte != 1)))?;
        check_eq!(reader.exit_code()?, 0);
        let writer = child::fork(|| {
            memory.iter_mut().step_by(4096).for_each(|byte| *byte = 2);
            0
        })?;
        check_eq!(writer.end_signal()?, Signal::SIGKILL);
        Ok(())
    })
    .or_else(|failure| {
        // Either of the two may be chosen: they are of one size.
        if inner.value("memory.events", "oom_kill ")? >= 1 { Ok(()) } else { Err(failure) }
    })
}

fn a_limit_from_above_binds() -> Outcome {
    let (group, inner) = groups()?;
    group.write("memory.max", 16 * MIB)?;
    let hog = child_in(&inner, || {
        std::mem::forget(touch(64 * MIB));
        Ok(())
    })?;
    check_eq!(hog.end_signal()?, Signal::SIGKILL);
    check_eq!(inner.value("memory.events", "oom_kill ")?, 1);
    check_eq!(group.value("memory.events", "oom_kill ")?, 1);
    check!(group.value("memory.events", "max ")? >= 1);
    Ok(())
}

fn lowering_a_limit_makes_room() -> Outcome {
    let (_group, inner) = groups()?;
    let child = child_in(&inner, || {
        std::mem::forget(touch(32 * MIB));
        Ok(())
    })?;
    child::until("it has touched all", || Ok(current(&inner)? >= 32 * MIB))?;
    inner.write("memory.max", 8 * MIB)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    check!(current(&inner)? <= 8 * MIB);
    Ok(())
}

fn a_group_can_end_together() -> Outcome {
    let (_group, inner) = groups()?;
    inner.write("memory.max", 16 * MIB)?;
    inner.write("memory.oom.group", 1)?;
    check_eq!(inner.read("memory.oom.group")?, "1\n");
    let small = super::sleeper_in(&inner)?;
    let hog = child_in(&inner, || {
        std::mem::forget(touch(64 * MIB));
        Ok(())
    })?;
    check_eq!(hog.end_signal()?, Signal::SIGKILL);
    check_eq!(small.end_signal()?, Signal::SIGKILL);
    Ok(())
}

fn past_memory_high_a_process_goes_on() -> Outcome {
    let (_group, inner) = groups()?;
    inner.write("memory.high", 4 * MIB)?;
    check_eq!(inner.read("memory.high")?, format!("{}\n", 4 * MIB));
    child::passes(|| {
        inner.put(0)?;
        drop(touch(5 * MIB));
        Ok(())
    })?;
    check!(inner.value("memory.events", "high ")? >= 1);
    check_eq!(inner.value("memory.events", "oom_kill ")?, 0);
    Ok(())
}

fn memory_limits_are_sizes_or_max() -> Outcome {
    let (_group, inner) = groups()?;
    for file in ["memory.max", "memory.high", "memory.low", "memory.min"] {
        let (text, expected) = match file {
            "memory.max" | "memory.high" => ("64M", "67108864\n"),
            _ => ("1G", "1073741824\n"),
        };
        inner.write(file, text)?;
        check_eq!(inner.read(file)?, expected);
        inner.write(file, "12288")?;
        check_eq!(inner.read(file)?, "12288\n");
        inner.write(file, "4097")?;
        check_eq!(inner.read(file)?, "4096\n");
        inner.write(file, "max")?;
        check_eq!(inner.read(file)?, "max\n");
        check_fails!(inner.write(file, "much"), EINVAL);
        check_fails!(inner.write(file, "-1"), EINVAL);
    }
    check_fails!(inner.write("memory.oom.group", 2), EINVAL);
    check_fails!(inner.write("memory.current", 2), EINVAL);
    check!(fs::metadata(inner.file("../../memory.max")).is_err(), "the root has a limit");
    check_eq!(inner.read("memory.swap.current").unwrap_or("0\n".into()), "0\n");
    Ok(())
}

fn memory_keeps_processes_out_of_the_middle() -> Outcome {
    let (group, inner) = groups()?;
    check_fails!(group.put(0), EBUSY);
    child::passes(|| {
        inner.put(0)?;
        check_fails!(inner.write("cgroup.subtree_control", "+memory"), EBUSY);
        Ok(())
    })?;
    group.write("cgroup.subtree_control", "-memory")?;
    check_fails!(fs::metadata(inner.file("memory.max")), ENOENT);
    Ok(())
}
