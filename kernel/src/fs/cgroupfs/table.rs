//! The files of a group: one row each. A controller's files are rows with that controller.

use super::{check_may_move, cpu, cpuset, memory};
use crate::cgroup::{Bell, Cgroup, Controllers, Membership};
use crate::error::{Errno, Error, Result};
use crate::fs::synthetic::Text;
use crate::process::Process;
use crate::process::credentials::Credentials;
use crate::process::namespace::pid::{PID_MAX, PidNamespace};
use crate::thread::Thread;
use alloc::sync::Arc;

/// A file.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its permissions, until somebody changes them.
    pub permissions: u32,
    /// In which groups it is.
    pub place: Place,
    /// What it says.
    pub show: Option<Show>,
    /// What it does with what it is told.
    pub store: Option<Store>,
    /// What rings when it says something new.
    pub bell: Option<fn(&Cgroup) -> &Bell>,
}

/// In which groups a file is.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In all.
    All,
    /// In all but the root.
    NotRoot,
    /// In all but the root, where the parent gives on this controller.
    With(Controllers),
}

type Show = fn(&Arc<Cgroup>, &mut Text) -> Result<()>;
type Store = fn(&Taken<'_>) -> Result<()>;

/// What a file is told.
#[derive(Debug)]
pub struct Taken<'a> {
    /// The group.
    pub cgroup: &'a Arc<Cgroup>,
    /// The words, without space around.
    pub word: &'a str,
    /// Who opened the file.
    pub opener: &'a Credentials,
}

use Place::{All, NotRoot, With};
const PIDS: Place = With(Controllers::PIDS);
const CPUSET: Place = With(Controllers::CPUSET);
const CPU: Place = With(Controllers::CPU);
const MEMORY: Place = With(Controllers::MEMORY);

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "cgroup.controllers", permissions: 0o444, place: All, show: Some(show_controllers), store: None, bell: None },
    Row { name: "cgroup.events", permissions: 0o444, place: NotRoot, show: Some(show_events), store: None, bell: Some(|cgroup| &cgroup.events) },
    Row { name: "cgroup.freeze", permissions: 0o644, place: NotRoot, show: Some(show_freeze), store: Some(store_freeze), bell: None },
    Row { name: "cgroup.kill", permissions: 0o200, place: NotRoot, show: None, store: Some(store_kill), bell: None },
    Row { name: "cgroup.max.depth", permissions: 0o644, place: All, show: Some(show_max_depth), store: Some(store_max_depth), bell: None },
    Row { name: "cgroup.max.descendants", permissions: 0o644, place: All, show: Some(show_max_descendants), store: Some(store_max_descendants), bell: None },
    Row { name: "cgroup.procs", permissions: 0o644, place: All, show: Some(show_procs), store: Some(store_procs), bell: None },
    Row { name: "cgroup.stat", permissions: 0o444, place: All, show: Some(show_stat), store: None, bell: None },
    Row { name: "cgroup.subtree_control", permissions: 0o644, place: All, show: Some(show_subtree_control), store: Some(store_subtree_control), bell: None },
    Row { name: "cgroup.threads", permissions: 0o644, place: All, show: Some(show_threads), store: Some(store_threads), bell: None },
    Row { name: "cgroup.type", permissions: 0o644, place: NotRoot, show: Some(show_type), store: Some(store_type), bell: None },
    Row { name: "cpu.max", permissions: 0o644, place: CPU, show: Some(cpu::show_max), store: Some(cpu::store_max), bell: None },
    Row { name: "cpu.stat", permissions: 0o444, place: All, show: Some(show_cpu_stat), store: None, bell: None },
    Row { name: "cpu.weight", permissions: 0o644, place: CPU, show: Some(cpu::show_weight), store: Some(cpu::store_weight), bell: None },
    Row { name: "cpu.weight.nice", permissions: 0o644, place: CPU, show: Some(cpu::show_weight_nice), store: Some(cpu::store_weight_nice), bell: None },
    Row { name: "cpuset.cpus", permissions: 0o644, place: CPUSET, show: Some(cpuset::show_cpus), store: Some(cpuset::store_cpus), bell: None },
    Row { name: "cpuset.cpus.effective", permissions: 0o444, place: CPUSET, show: Some(cpuset::show_effective_cpus), store: None, bell: None },
    Row { name: "cpuset.mems", permissions: 0o644, place: CPUSET, show: Some(cpuset::show_mems), store: Some(cpuset::store_mems), bell: None },
    Row { name: "cpuset.mems.effective", permissions: 0o444, place: CPUSET, show: Some(cpuset::show_effective_mems), store: None, bell: None },
    Row { name: "memory.current", permissions: 0o444, place: MEMORY, show: Some(memory::show_current), store: None, bell: None },
    Row { name: "memory.events", permissions: 0o444, place: MEMORY, show: Some(memory::show_events), store: None, bell: Some(|cgroup| &cgroup.memory.events) },
    Row { name: "memory.high", permissions: 0o644, place: MEMORY, show: Some(memory::show_high), store: Some(memory::store_high), bell: None },
    Row { name: "memory.low", permissions: 0o644, place: MEMORY, show: Some(memory::show_low), store: Some(memory::store_low), bell: None },
    Row { name: "memory.max", permissions: 0o644, place: MEMORY, show: Some(memory::show_max), store: Some(memory::store_max), bell: None },
    Row { name: "memory.min", permissions: 0o644, place: MEMORY, show: Some(memory::show_min), store: Some(memory::store_min), bell: None },
    Row { name: "memory.oom.group", permissions: 0o644, place: MEMORY, show: Some(memory::show_oom_group), store: Some(memory::store_oom_group), bell: None },
    Row { name: "memory.peak", permissions: 0o444, place: MEMORY, show: Some(memory::show_peak), store: None, bell: None },
    Row { name: "memory.stat", permissions: 0o444, place: MEMORY, show: Some(memory::show_stat), store: None, bell: None },
    Row { name: "memory.swap.current", permissions: 0o444, place: MEMORY, show: Some(memory::show_no_swap), store: None, bell: None },
    Row { name: "memory.swap.events", permissions: 0o444, place: MEMORY, show: Some(memory::show_swap_events), store: None, bell: None },
    Row { name: "memory.swap.max", permissions: 0o644, place: MEMORY, show: Some(memory::show_swap_max), store: Some(memory::store_swap_max), bell: None },
    Row { name: "pids.current", permissions: 0o444, place: PIDS, show: Some(show_pids_current), store: None, bell: None },
    Row { name: "pids.events", permissions: 0o444, place: PIDS, show: Some(show_pids_events), store: None, bell: Some(|cgroup| &cgroup.pids.events) },
    Row { name: "pids.max", permissions: 0o644, place: PIDS, show: Some(show_pids_max), store: Some(store_pids_max), bell: None },
    Row { name: "pids.peak", permissions: 0o444, place: PIDS, show: Some(show_pids_peak), store: None, bell: None },
];

/// Whether a group has the file.
pub fn is_shown(row: &Row, cgroup: &Cgroup) -> bool {
    match row.place {
        All => true,
        NotRoot => cgroup.parent().is_some(),
        With(controller) => cgroup.parent().is_some() && cgroup.controllers().contains(controller),
    }
}

pub(super) fn line(text: &mut Text, value: impl core::fmt::Display) -> Result<()> {
    text.add(format_args!("{value}\n"));
    Ok(())
}

fn show_set(set: Controllers, text: &mut Text) -> Result<()> {
    for (at, name) in set.names().enumerate() {
        text.add(format_args!("{}{name}", if at == 0 { "" } else { " " }));
    }
    if !set.is_empty() {
        text.bytes(b"\n");
    }
    Ok(())
}

fn show_controllers(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_set(cgroup.controllers(), text)
}

fn show_subtree_control(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_set(cgroup.subtree_control(), text)
}

fn store_subtree_control(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.set_subtree_control(taken.word)
}

fn show_events(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let (populated, frozen) = (u8::from(cgroup.is_populated()), u8::from(cgroup.is_frozen()));
    text.add(format_args!("populated {populated}\nfrozen {frozen}\n"));
    Ok(())
}

fn show_freeze(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, u8::from(cgroup.wants_freeze()))
}

fn store_freeze(taken: &Taken<'_>) -> Result<()> {
    match number(taken.word)? {
        0 => taken.cgroup.set_freeze(false),
        1 => taken.cgroup.set_freeze(true),
        _ => Err(Errno::ERANGE.into()),
    }
}

fn store_kill(taken: &Taken<'_>) -> Result<()> {
    if number(taken.word)? != 1 {
        return Err(Errno::ERANGE.into());
    }
    taken.cgroup.kill();
    Ok(())
}

fn show_type(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, "domain")
}

/// COMPAT: there are no threaded groups.
fn store_type(taken: &Taken<'_>) -> Result<()> {
    match taken.word {
        "threaded" => Err(Error::with(Errno::EOPNOTSUPP, "groups hold whole processes")),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn show_stat(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    text.add(format_args!("nr_descendants {}\nnr_dying_descendants 0\n", cgroup.descendants()));
    Ok(())
}

fn show_limit(text: &mut Text, limit: usize) -> Result<()> {
    if limit == usize::MAX { line(text, "max") } else { line(text, limit) }
}

fn limit(word: &str) -> Result<usize> {
    if word == "max" {
        return Ok(usize::MAX);
    }
    let limit = i32::try_from(number(word)?).map_err(|_| Errno::ERANGE)?;
    usize::try_from(limit).map_err(|_| Errno::ERANGE.into())
}

fn show_max_depth(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_limit(text, cgroup.limits().0)
}

fn store_max_depth(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.set_limits(Some(limit(taken.word)?), None);
    Ok(())
}

fn show_max_descendants(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_limit(text, cgroup.limits().1)
}

fn store_max_descendants(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.set_limits(None, Some(limit(taken.word)?));
    Ok(())
}

/// The reader's or writer's pid namespace.
fn own_namespace() -> Result<Arc<PidNamespace>> {
    Ok(Thread::current().ok_or(Errno::ESRCH)?.process().pid_namespace().clone())
}

fn show_procs(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    each_member(cgroup, |process, namespace| line(text, process.id().number_in(namespace)))
}

fn show_threads(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    each_member(cgroup, |process, namespace| {
        process.threads().iter().try_for_each(|thread| line(text, thread.tid_in(namespace)))
    })
}

fn each_member(
    cgroup: &Cgroup,
    mut visit: impl FnMut(&Process, &Arc<PidNamespace>) -> Result<()>,
) -> Result<()> {
    let namespace = own_namespace()?;
    let mut from = 0;
    while let Some((pid, process)) = cgroup.next_member(from) {
        visit(&process, &namespace)?;
        from = pid + 1;
    }
    Ok(())
}

fn store_procs(taken: &Taken<'_>) -> Result<()> {
    let thread = named_thread(taken.word)?;
    let process = thread.process();
    check_may_move(&process.cgroup.get(), taken.cgroup, taken.opener, false)?;
    Membership::migrate(process, taken.cgroup)?;
    // Whoever moved itself leaves this CPU, if its new group has it not.
    ostd::task::yield_now();
    Ok(())
}

/// COMPAT: threads cannot be apart from their process, so this is for those that are where they are to go.
fn store_threads(taken: &Taken<'_>) -> Result<()> {
    let thread = named_thread(taken.word)?;
    if Arc::ptr_eq(&thread.process().cgroup.get(), taken.cgroup) {
        return Ok(());
    }
    Err(Error::with(Errno::EOPNOTSUPP, "groups hold whole processes"))
}

/// The thread with that number in the writer's namespace; 0 is the writer's own.
fn named_thread(word: &str) -> Result<Arc<Thread>> {
    let tid = u32::try_from(number(word)?).map_err(|_| Errno::EINVAL)?;
    if tid == 0 {
        return Thread::current().ok_or(Errno::ESRCH.into());
    }
    let id = own_namespace()?.find(tid).ok_or(Errno::ESRCH)?;
    let first = || id.process().and_then(|process| process.first_thread());
    id.thread().or_else(first).ok_or(Errno::ESRCH.into())
}

fn show_cpu_stat(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let times = cgroup.cpu_times();
    let (user, system) = (times.user_ns / 1000, times.system_ns / 1000);
    text.add(format_args!("usage_usec {}\nuser_usec {user}\nsystem_usec {system}\n", user + system));
    if cgroup.controllers().contains(Controllers::CPU) {
        cpu::show_throttling(cgroup, text);
    }
    Ok(())
}

fn show_pids_current(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, cgroup.pids.current())
}

fn show_pids_peak(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, cgroup.pids.peak())
}

fn show_pids_events(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, format_args!("max {}", cgroup.pids.refusals()))
}

fn show_pids_max(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_limit(text, cgroup.pids.max().unwrap_or(usize::MAX))
}

fn store_pids_max(taken: &Taken<'_>) -> Result<()> {
    if taken.word == "max" {
        taken.cgroup.pids.set_max(None);
        return Ok(());
    }
    let max = usize::try_from(number(taken.word)?).map_err(|_| Errno::EINVAL)?;
    // As many as there are ids are no limit that Linux would take for one.
    if max > PID_MAX as usize * 128 {
        return Err(Errno::EINVAL.into());
    }
    taken.cgroup.pids.set_max(Some(max));
    Ok(())
}

pub(super) fn number(word: &str) -> Result<i64> {
    word.parse().map_err(|_| Errno::EINVAL.into())
}
