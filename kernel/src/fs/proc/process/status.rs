//! /proc/PID/status (proc_pid_status(5)).

use super::Subject;
use super::stat::{name_of, state};
use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::mm::AddressSpace;
use crate::process::Process;
use crate::process::pid::Pid;
use crate::process::rlimit::Resource;
use crate::sched;
use crate::thread::Thread;
use crate::thread::seccomp::Mode;
use alloc::sync::Arc;
use ostd::mm::PAGE_SIZE;

/// Shows it.
pub fn show(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.process()?;
    let thread = subject.thread().ok();
    let thread = thread.as_ref();
    let (name, len) = name_of(&process, thread);
    text.bytes(b"Name:\t");
    text.escaped(&name[..len], b"\n\\");
    text.bytes(b"\n");
    if let Some(around) = subject.surroundings()? {
        text.add(format_args!("Umask:\t{:04o}\n", around.place.umask()));
    }
    let (letter, word) = state(&process, thread);
    text.add(format_args!("State:\t{letter} ({word})\n"));
    show_ids(subject, &process, thread, text);
    if let Some(memory) = process.address_space() {
        show_memory(&memory, text);
    }
    text.add(format_args!("CoreDumping:\t0\nTHP_enabled:\t0\nuntag_mask:\t0xffffffffffffffff\n"));
    text.add(format_args!("Threads:\t{}\n", process.thread_count().max(1)));
    show_signals(&process, thread, text);
    show_rights(&process, thread, text);
    show_cpus(thread, text);
    text.bytes(b"Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    text.bytes(b"voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
    Ok(())
}

fn show_ids(subject: &Subject, process: &Process, thread: Option<&Arc<Thread>>, text: &mut Text) {
    let namespace = &subject.namespace;
    let tgid = process.id().number_in(namespace);
    let pid = thread.map_or(tgid, |thread| thread.tid_in(namespace));
    let parent = process.parent().map_or(0, |parent| parent.id().number_in(namespace));
    text.add(format_args!("Tgid:\t{tgid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\n"));
    let credentials = process.credentials();
    let reader = Thread::current().map(|thread| thread.process().credentials());
    let user = |uid| reader.as_ref().map_or(uid, |reader| reader.shown_uid(uid));
    let group = |gid| reader.as_ref().map_or(gid, |reader| reader.shown_gid(gid));
    for (label, ids) in [("Uid", credentials.uid.map(user)), ("Gid", credentials.gid.map(group))] {
        text.add(format_args!("{label}:\t{}\t{}\t{}\t{}\n", ids[0], ids[1], ids[2], ids[3]));
    }
    text.add(format_args!("FDSize:\t{}\nGroups:\t", process.fds().len().next_power_of_two().max(64)));
    for member in credentials.groups.iter() {
        text.add(format_args!("{} ", group(*member)));
    }
    text.bytes(b"\n");
    // From the mount's namespace inwards.
    let level = namespace.level();
    let all = |label: &str, id: &Pid, text: &mut Text| {
        text.add(format_args!("{label}:"));
        id.numbers().skip(level).for_each(|number| text.add(format_args!("\t{number}")));
        text.bytes(b"\n");
    };
    let own = thread.map_or_else(|| process.id().clone(), |thread| thread.id());
    all("NStgid", process.id(), text);
    all("NSpid", &own, text);
    all("NSpgid", process.group().id(), text);
    all("NSsid", process.session().id(), text);
    text.bytes(b"Kthread:\t0\n");
}

fn show_memory(memory: &AddressSpace, text: &mut Text) {
    let counts = memory.counts();
    let resident = memory.resident_pages();
    let rows = [
        ("VmPeak", counts.peak.max(counts.total)),
        ("VmSize", counts.total),
        ("VmLck", counts.locked),
        ("VmPin", 0),
        ("VmHWM", memory.peak_resident_pages()),
        ("VmRSS", resident),
        ("RssAnon", resident),
        ("RssFile", 0),
        ("RssShmem", 0),
        ("VmData", counts.data),
        ("VmStk", counts.stack),
        ("VmExe", counts.code),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
    ];
    for (label, pages) in rows {
        text.add(format_args!("{label}:\t{:>8} kB\n", pages * (PAGE_SIZE / 1024)));
    }
    text.bytes(b"HugetlbPages:\t       0 kB\n");
}

fn show_signals(process: &Process, thread: Option<&Arc<Thread>>, text: &mut Text) {
    let shared = &process.signals;
    let actions = shared.actions();
    let own = thread.map(|thread| &thread.signals);
    let queued = shared.pending.len() + own.map_or(0, |own| own.pending.len());
    text.add(format_args!("SigQ:\t{queued}/{}\n", process.rlimit(Resource::PendingSignals).0));
    let sets = [
        ("SigPnd", own.map_or(0, |own| own.pending.set().0)),
        ("ShdPnd", shared.pending.set().0),
        ("SigBlk", own.map_or(0, |own| own.mask().0)),
        ("SigIgn", actions.explicitly_ignored().0),
        ("SigCgt", actions.caught().0),
    ];
    for (label, set) in sets {
        text.add(format_args!("{label}:\t{set:016x}\n"));
    }
}

fn show_rights(process: &Process, thread: Option<&Arc<Thread>>, text: &mut Text) {
    let credentials = process.credentials();
    let [permitted, effective, inheritable, bounding, ambient] = credentials.capabilities;
    let sets = [
        ("CapInh", inheritable),
        ("CapPrm", permitted),
        ("CapEff", effective),
        ("CapBnd", bounding),
        ("CapAmb", ambient),
    ];
    for (label, set) in sets {
        text.add(format_args!("{label}:\t{set:016x}\n"));
    }
    let seccomp = thread.map(|thread| &thread.seccomp);
    let mode = seccomp.map_or(Mode::Off, |seccomp| seccomp.mode());
    let filters = seccomp.and_then(|seccomp| seccomp.filter()).map_or(0, |filter| filter.count);
    text.add(format_args!(
        "NoNewPrivs:\t{}\nSeccomp:\t{}\nSeccomp_filters:\t{filters}\n",
        u8::from(credentials.no_new_privs),
        mode as u8,
    ));
}

fn show_cpus(thread: Option<&Arc<Thread>>, text: &mut Text) {
    let cpus = ostd::cpu::count();
    let all = if cpus >= 64 { u64::MAX } else { (1 << cpus) - 1 };
    let task = thread.and_then(|thread| thread.task());
    let allowed = task.as_deref().and_then(sched::of).map_or(all, |entity| entity.affinity() & all);
    text.add(format_args!("Cpus_allowed:\t{allowed:x}\nCpus_allowed_list:\t"));
    show_list(allowed, text);
    text.bytes(b"\n");
}

/// Bits as ranges: `0-3,5`.
pub fn show_list(bits: u64, text: &mut Text) {
    let mut at = 0;
    let mut separator = "";
    while at < 64 {
        if bits >> at & 1 == 0 {
            at += 1;
            continue;
        }
        let len = (bits >> at).trailing_ones();
        let last = at + len - 1;
        if len == 1 {
            text.add(format_args!("{separator}{at}"));
        } else {
            text.add(format_args!("{separator}{at}-{last}"));
        }
        separator = ",";
        at += len;
    }
}
