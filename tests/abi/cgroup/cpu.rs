//! The cpu controller.

use std::fs;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Group;
use crate::case::{Outcome, cases, check, check_eq, check_fails, skip};
use crate::child::{self, Child};

cases!("cgroup":
    a_quota_holds_in_each_period,
    a_quota_is_for_all_in_a_group,
    a_quota_from_above_binds,
    a_throttled_process_can_be_killed,
    groups_get_the_cpus_by_weight,
    a_group_gets_no_more_for_more_processes,
    cpu_limits_are_a_quota_and_a_period,
    cpu_weights_are_numbers_or_nice_values,
    a_group_keeps_to_its_cpus,
    sets_of_cpus_are_lists,
);

/// A group, and in it two with the cpu controller.
fn groups() -> Outcome<(Group, Group, Group)> {
    let group = Group::new()?;
    fs::write(group.file("../cgroup.subtree_control"), "+cpu")?;
    group.write("cgroup.subtree_control", "+cpu")?;
    let (one, two) = (group.child("one")?, group.child("two")?);
    Ok((group, one, two))
}

/// A child in `group` that computes on the first CPU for ever.
fn spinner_in(group: &Group) -> Outcome<Child> {
    let child = child::fork(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(child.pid, &first)?;
    group.put(child.pid.as_raw())?;
    Ok(child)
}

fn end(children: &[Child]) -> Outcome {
    for child in children {
        child.kill(Signal::SIGKILL)?;
        child.wait()?;
    }
    Ok(())
}

/// CPU time of a group so far, in microseconds.
fn used(group: &Group) -> Outcome<u64> {
    group.value("cpu.stat", "usage_usec ")
}

/// CPU time that groups use in a second.
fn used_in_a_second<const N: usize>(groups: [&Group; N]) -> Outcome<[f64; N]> {
    let start = Instant::now();
    let before: Vec<u64> = groups.iter().map(|group| used(group)).collect::<Outcome<_>>()?;
    std::thread::sleep(Duration::from_secs(1));
    let mut result = [0.0; N];
    for ((result, group), before) in result.iter_mut().zip(groups).zip(before) {
        *result = (used(group)? - before) as f64 / 1e6 / start.elapsed().as_secs_f64();
    }
    Ok(result)
}

fn a_quota_holds_in_each_period() -> Outcome {
    let (_group, one, _two) = groups()?;
    one.write("cpu.max", "20000 100000")?;
    let child = spinner_in(&one)?;
    let [used] = used_in_a_second([&one])?;
    check!((0.1..0.4).contains(&used), "{used} of a CPU");
    check!(one.value("cpu.stat", "nr_periods ")? >= 5);
    check!(one.value("cpu.stat", "nr_throttled ")? >= 5);
    check!(one.value("cpu.stat", "throttled_usec ")? > 300_000);
    // Without the limit it goes on at once.
    one.write("cpu.max", "max")?;
    let [used] = used_in_a_second([&one])?;
    check!(used > 0.5, "{used} of a CPU");
    end(&[child])
}

fn a_quota_is_for_all_in_a_group() -> Outcome {
    let (_group, one, two) = groups()?;
    one.write("cpu.max", "20000 100000")?;
    let children = [spinner_in(&one)?, spinner_in(&one)?, spinner_in(&two)?];
    let [limited, free] = used_in_a_second([&one, &two])?;
    check!((0.1..0.4).contains(&limited), "{limited} of a CPU");
    check!(free > 0.4, "{free} of a CPU for who has no limit");
    end(&children)
}

fn a_quota_from_above_binds() -> Outcome {
    let (group, one, two) = groups()?;
    group.write("cpu.max", "30000 100000")?;
    let children = [spinner_in(&one)?, spinner_in(&two)?];
    let [first, second] = used_in_a_second([&one, &two])?;
    check!((0.15..0.5).contains(&(first + second)), "{first} and {second} of a CPU");
    end(&children)
}

fn a_throttled_process_can_be_killed() -> Outcome {
    let (_group, one, _two) = groups()?;
    one.write("cpu.max", "1000 1000000")?;
    let child = spinner_in(&one)?;
    child::until("it is throttled", || Ok(one.value("cpu.stat", "nr_throttled ")? > 0))?;
    let before = used(&one)?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    check!(used(&one)? - before < 500_000);
    Ok(())
}

fn groups_get_the_cpus_by_weight() -> Outcome {
    let (_group, one, two) = groups()?;
    one.write("cpu.weight", 100)?;
    two.write("cpu.weight", 400)?;
    let children = [spinner_in(&one)?, spinner_in(&two)?];
    let [first, second] = used_in_a_second([&one, &two])?;
    check!((2.0..8.0).contains(&(second / first)), "{first} and {second} of a CPU");
    end(&children)
}

fn a_group_gets_no_more_for_more_processes() -> Outcome {
    let (_group, one, two) = groups()?;
    let children = [spinner_in(&one)?, spinner_in(&one)?, spinner_in(&one)?, spinner_in(&two)?];
    // Until it is known how many they are.
    std::thread::sleep(Duration::from_millis(200));
    let [first, second] = used_in_a_second([&one, &two])?;
    check!((0.5..2.0).contains(&(second / first)), "{first} and {second} of a CPU");
    end(&children)
}

fn cpu_limits_are_a_quota_and_a_period() -> Outcome {
    let (group, one, _two) = groups()?;
    check_eq!(one.read("cpu.max")?, "max 100000\n");
    one.write("cpu.max", "50000 200000")?;
    check_eq!(one.read("cpu.max")?, "50000 200000\n");
    one.write("cpu.max", "10000")?;
    check_eq!(one.read("cpu.max")?, "10000 200000\n");
    one.write("cpu.max", "max 1000")?;
    check_eq!(one.read("cpu.max")?, "max 1000\n");
    for bad in ["much", "500", "50000 500", "50000 2000000", "-1"] {
        check_fails!(one.write("cpu.max", bad), EINVAL);
    }
    one.write("cpu.max", "50000")?;
    group.write("cgroup.subtree_control", "-cpu")?;
    check_fails!(fs::metadata(one.file("cpu.max")), ENOENT);
    group.write("cgroup.subtree_control", "+cpu")?;
    check_eq!(one.read("cpu.max")?, "max 100000\n");
    Ok(())
}

fn cpu_weights_are_numbers_or_nice_values() -> Outcome {
    let (_group, one, _two) = groups()?;
    check_eq!(one.read("cpu.weight")?, "100\n");
    check_eq!(one.read("cpu.weight.nice")?, "0\n");
    one.write("cpu.weight", 10_000)?;
    check_eq!(one.read("cpu.weight")?, "10000\n");
    one.write("cpu.weight.nice", 0)?;
    check_eq!(one.read("cpu.weight")?, "100\n");
    one.write("cpu.weight.nice", 1)?;
    check_eq!(one.read("cpu.weight")?, "80\n");
    check_fails!(one.write("cpu.weight", 0), ERANGE);
    check_fails!(one.write("cpu.weight", 10_001), ERANGE);
    check_fails!(one.write("cpu.weight", "much"), EINVAL);
    check_fails!(one.write("cpu.weight.nice", 20), ERANGE);
    Ok(())
}

/// A group, and in it one with the cpuset controller.
fn groups_with_sets() -> Outcome<(Group, Group)> {
    let group = Group::new()?;
    fs::write(group.file("../cgroup.subtree_control"), "+cpuset")?;
    group.write("cgroup.subtree_control", "+cpuset")?;
    let inner = group.child("inner")?;
    Ok((group, inner))
}

/// The CPUs that the caller may run on.
fn own_cpus() -> Outcome<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

fn only(cpu: usize) -> Outcome<CpuSet> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

fn a_group_keeps_to_its_cpus() -> Outcome {
    let all = own_cpus()?;
    if all.len() < 2 {
        skip!("there is one CPU");
    }
    let (group, inner) = groups_with_sets()?;
    inner.write("cpuset.cpus", all[1])?;
    child::passes(|| {
        inner.put(0)?;
        check_eq!(own_cpus()?, [all[1]]);
        for _ in 0..20 {
            check_eq!(nix::sched::sched_getcpu()?, all[1]);
            std::thread::yield_now();
        }
        check_fails!(sched_setaffinity(Pid::from_raw(0), &only(all[0])?), EINVAL);
        // Also what is made there.
        child::passes(|| {
            check_eq!(own_cpus()?, [all[1]]);
            Ok(())
        })?;
        // What the group above has is all there is.
        group.write("cpuset.cpus", all[0])?;
        check_eq!(inner.read("cpuset.cpus.effective")?, format!("{}\n", all[0]));
        check_eq!(own_cpus()?, [all[0]]);
        group.write("cpuset.cpus", format!("{},{}", all[0], all[1]))?;
        check_eq!(own_cpus()?, [all[1]]);
        check_fails!(inner.write("cpuset.cpus", "\n"), ENOSPC);
        Ok(())
    })
}

fn sets_of_cpus_are_lists() -> Outcome {
    let (group, inner) = groups_with_sets()?;
    check_eq!(inner.read("cpuset.cpus")?, "\n");
    check_eq!(inner.read("cpuset.cpus.effective")?, group.read("cpuset.cpus.effective")?);
    inner.write("cpuset.cpus", "0,0-0")?;
    check_eq!(inner.read("cpuset.cpus")?, "0\n");
    check_eq!(inner.read("cpuset.cpus.effective")?, "0\n");
    check_eq!(inner.read("cpuset.mems.effective")?, "0\n");
    for bad in ["x", "1-0", "-1", "0-"] {
        check_fails!(inner.write("cpuset.cpus", bad), EINVAL);
    }
    check_eq!(inner.read("cpuset.cpus")?, "0\n");
    inner.write("cpuset.cpus", "\n")?;
    check_eq!(inner.read("cpuset.cpus")?, "\n");
    Ok(())
}
