//! /proc/PID/stat, statm and io (proc_pid_stat(5)).

use super::Subject;
use crate::error::Result;
use crate::fs::proc::cpu::TICK_NS;
use crate::fs::synthetic::Text;
use crate::process::Process;
use crate::process::rlimit::Resource;
use crate::process::times::CpuTimes;
use crate::sched;
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::mm::PAGE_SIZE;

/// PF_EXITING, PF_FORKNOEXEC, PF_RANDOMIZE of `flags`.
const FORKED_WITHOUT_EXEC: u32 = 0x40;
const RANDOMIZED: u32 = 0x40_0000;

/// The letter of a process's state, and its name in /proc/PID/status.
pub fn state(process: &Process, thread: Option<&Arc<Thread>>) -> (char, &'static str) {
    if process.exit_status().is_some() {
        return ('Z', "zombie");
    }
    match thread.and_then(|thread| thread.task()) {
        Some(_) if process.signals.is_stopping() => ('T', "stopped"),
        Some(task) if task.is_asleep() => ('S', "sleeping"),
        Some(_) => ('R', "running"),
        None => ('X', "dead"),
    }
}

/// The name without its padding.
pub fn name_of(process: &Process, thread: Option<&Arc<Thread>>) -> ([u8; 16], usize) {
    let name = thread.map_or_else(|| process.name(), |thread| thread.name());
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    (name, len)
}

/// Times of a thread, or of all threads.
fn times(subject: &Subject, process: &Process, thread: Option<&Arc<Thread>>) -> CpuTimes {
    match thread {
        Some(thread) if subject.is_thread() => thread.cpu_times(),
        _ => process.cpu_times(),
    }
}

/// /proc/PID/stat.
pub fn show_stat(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.process()?;
    let thread = subject.thread().ok();
    let thread = thread.as_ref();
    let namespace = &subject.namespace;
    let id = thread.map_or_else(|| process.id().clone(), |thread| thread.id());
    let (name, len) = name_of(&process, thread);
    text.add(format_args!("{} (", id.number_in(namespace)));
    text.bytes(&name[..len]);
    let parent = process.parent().map_or(0, |parent| parent.id().number_in(namespace));
    let (group, session) = (process.group(), process.session());
    let (terminal, foreground) = crate::device::tty::job::shown(&session, namespace);
    text.add(format_args!(") {} {parent} ", state(&process, thread).0));
    text.add(format_args!("{} {} ", group.id().number_in(namespace), session.id().number_in(namespace)));
    text.add(format_args!("{terminal} {foreground} "));

    let forked = if process.has_executed() { 0 } else { FORKED_WITHOUT_EXEC };
    let memory = process.address_space();
    let (ended_faults, child_faults) = process.times.faults();
    let (minor, major) = memory.as_ref().map_or(ended_faults, |memory| memory.fault_counts());
    text.add(format_args!("{} {minor} {} {major} {} ", forked | RANDOMIZED, child_faults.0, child_faults.1));
    let (own, children) = (times(subject, &process, thread), process.times.children());
    for ns in [own.user_ns, own.system_ns, children.user_ns, children.system_ns] {
        text.add(format_args!("{} ", ns / TICK_NS));
    }
    let task = thread.and_then(|thread| thread.task());
    let entity = task.as_deref().and_then(sched::of);
    let nice = entity.map_or(0, sched::Entity::nice);
    let real_time = entity.map_or(0, |entity| u32::from(entity.priority()));
    let priority = if real_time > 0 { -1 - real_time as i32 } else { 20 + nice };
    let policy = entity.map_or(0, |entity| entity.policy() as u32);
    let started = process.times.started_ns() / TICK_NS;
    text.add(format_args!("{priority} {nice} {} 0 {started} ", process.thread_count().max(1)));

    let pages = memory.as_ref().map_or(0, |memory| memory.counts().total);
    let resident = memory.as_ref().map_or(0, |memory| memory.resident_pages());
    let resident_limit = process.rlimit(Resource::ResidentSet).0;
    text.add(format_args!("{} {resident} {resident_limit} 0 0 0 0 0 ", pages * PAGE_SIZE));
    let actions = process.signals.actions();
    let pending = thread.map_or(0, |thread| thread.signals.pending.set().0);
    let blocked = thread.map_or(0, |thread| thread.signals.mask().0);
    let (ignored, caught) = (actions.explicitly_ignored().0, actions.caught().0);
    // Only the first 31 signals fit in these columns, as ps(1) reads them; status has all.
    let low = |set: u64| set & 0x7fff_ffff;
    text.add(format_args!("{} {} {} {} 0 0 0 ", low(pending), low(blocked), low(ignored), low(caught)));
    let exit_signal = process.exit_signal().map_or(0, |signal| signal.number());
    let cpu = task.as_ref().map_or(0, |task| task.cpu().as_usize());
    text.add(format_args!("{exit_signal} {cpu} {real_time} {policy} 0 0 0 0 0 "));
    let heap = memory.as_ref().map_or(0, |memory| memory.heap().0);
    let program = process.program();
    let (arguments, environment) = (program.arguments, program.environment);
    text.add(format_args!("{heap} {} {} ", arguments.start, arguments.end));
    let status = process.exit_status().map_or(0, |status| status.to_wait_status());
    text.add(format_args!("{} {} {status}\n", environment.start, environment.end));
    Ok(())
}

/// /proc/PID/statm: pages in all, resident, shared, code, 0, data, 0.
pub fn show_statm(subject: &Subject, text: &mut Text) -> Result<()> {
    let Some(memory) = subject.memory()? else {
        text.bytes(b"0 0 0 0 0 0 0\n");
        return Ok(());
    };
    let counts = memory.counts();
    let resident = memory.resident_pages();
    text.add(format_args!(
        "{} {resident} 0 {} 0 {} 0\n",
        counts.total,
        counts.code,
        counts.data + counts.stack
    ));
    Ok(())
}

/// /proc/PID/io: bytes are not counted by process.
pub fn show_io(subject: &Subject, text: &mut Text) -> Result<()> {
    subject.check_access()?;
    text.bytes(
        b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
    );
    Ok(())
}
