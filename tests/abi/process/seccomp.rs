//! seccomp(2) and its forms in prctl(2).

use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::{child, raw};

cases!("process":
    strict_mode_leaves_four_calls,
    a_filter_makes_calls_fail,
    a_filter_looks_at_arguments,
    the_sternest_of_several_filters_decides,
    filters_stay_over_fork_and_execve,
    filters_need_privilege_or_no_new_privs,
    bad_filters_are_refused,
    filters_may_not_be_too_long_together,
    a_trap_is_a_signal_with_what_was_called,
    killing_a_thread_leaves_the_others,
    killing_a_process_takes_all_threads,
    unanswered_verdicts_fail_with_enosys,
    a_filter_goes_to_all_threads,
    a_thread_with_filters_of_its_own_is_in_the_way,
    seccomp_checks_its_arguments,
    status_shows_filters,
);

const SET_MODE_STRICT: usize = 0;
const SET_MODE_FILTER: usize = 1;
const GET_ACTION_AVAIL: usize = 2;
const TSYNC: usize = 1;
const TSYNC_ESRCH: usize = 16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;
const KILL_THREAD: u32 = libc::SECCOMP_RET_KILL_THREAD;
const KILL_PROCESS: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn op(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn test(k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt, jf, k }
}

fn load(offset: u32) -> libc::sock_filter {
    op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn ret(value: u32) -> libc::sock_filter {
    op(libc::BPF_RET | libc::BPF_K, value)
}

/// Says `verdict` of one call and allows all others.
fn verdict_on(call: libc::c_long, verdict: u32) -> Vec<libc::sock_filter> {
    vec![load(0), test(call as u32, 0, 1), ret(verdict), ret(ALLOW)]
}

fn attach(program: &[libc::sock_filter], flags: usize) -> nix::Result<usize> {
    let claim = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the claim and the program that it names live until the call is done, which only reads them.
    unsafe { raw::syscall(libc::SYS_seccomp, [SET_MODE_FILTER, flags, (&raw const claim).addr()]) }
}

fn getppid() -> nix::Result<usize> {
    raw::harmless(libc::SYS_getppid, [])
}

fn strict_mode_leaves_four_calls() -> Outcome {
    let child = child::fork(|| {
        let _ = raw::harmless(libc::SYS_seccomp, [SET_MODE_STRICT, 0, 0]);
        let _ = raw::harmless(libc::SYS_write, [usize::MAX, 0, 0]);
        // exit(2), for exit_group(2) is not among them.
        let _ = raw::harmless(libc::SYS_exit, [7]);
        1
    })?;
    check_eq!(child.exit_code()?, 7);
    let child = child::fork(|| {
        let _ = raw::harmless(libc::SYS_prctl, [libc::PR_SET_SECCOMP as usize, 1, 0, 0, 0]);
        let _ = getppid();
        1
    })?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    Ok(())
}

fn a_filter_makes_calls_fail() -> Outcome {
    attach(&verdict_on(libc::SYS_getppid, ERRNO | 77), 0)?;
    check_eq!(getppid(), Err(Errno::EBADFD));
    check!(raw::harmless(libc::SYS_getuid, []).is_ok());
    check_eq!(raw::harmless(libc::SYS_prctl, [libc::PR_GET_SECCOMP as usize, 0, 0, 0, 0]), Ok(2));
    // A number without a call behind it is judged as well; large error numbers are the largest.
    attach(&verdict_on(600, ERRNO | 0xffff), 0)?;
    check_eq!(raw::harmless(600, []).map_err(|errno| errno as i32), Err(Errno::UnknownErrno as i32));
    // 0 is success without anything done.
    attach(&verdict_on(libc::SYS_mkdir, ERRNO), 0)?;
    fs::create_dir("dir")?;
    check_fails!(fs::metadata("dir"), ENOENT);
    Ok(())
}

fn a_filter_looks_at_arguments() -> Outcome {
    // lseek of more than 4 GiB, by the upper half of the second argument, and of an architecture that this is not.
    let program = vec![
        load(4),
        test(0xc000_003e, 1, 0),
        ret(KILL_PROCESS),
        load(0),
        test(libc::SYS_lseek as u32, 0, 3),
        load(16 + 8 + 4),
        test(0, 1, 0),
        ret(ERRNO | Errno::EXDEV as u32),
        ret(ALLOW),
    ];
    let file = fs::File::create("file")?;
    attach(&program, 0)?;
    use std::io::{Seek, SeekFrom};
    check_eq!((&file).seek(SeekFrom::Start(5))?, 5);
    check_eq!((&file).seek(SeekFrom::Start(u64::from(u32::MAX)))?, u64::from(u32::MAX));
    check_fails!((&file).seek(SeekFrom::Start(1 << 32)), EXDEV);
    Ok(())
}

fn the_sternest_of_several_filters_decides() -> Outcome {
    attach(&verdict_on(libc::SYS_getppid, ERRNO | 1), 0)?;
    attach(&verdict_on(libc::SYS_getppid, libc::SECCOMP_RET_LOG), 0)?;
    check_eq!(getppid(), Err(Errno::EPERM));
    // Of equal ones the newest.
    attach(&verdict_on(libc::SYS_getppid, ERRNO | 2), 0)?;
    check_eq!(getppid(), Err(Errno::ENOENT));
    attach(&verdict_on(libc::SYS_getppid, ALLOW), 0)?;
    check_eq!(getppid(), Err(Errno::ENOENT));
    let child = child::fork(|| {
        let _ = attach(&verdict_on(libc::SYS_getppid, KILL_PROCESS), 0);
        let _ = getppid();
        1
    })?;
    check_eq!(child.end_signal()?, Signal::SIGSYS);
    Ok(())
}

fn filters_stay_over_fork_and_execve() -> Outcome {
    attach(&verdict_on(libc::SYS_getppid, ERRNO | Errno::ENOSYS as u32), 0)?;
    child::passes(|| {
        check_eq!(getppid(), Err(Errno::ENOSYS));
        let number = libc::SYS_getppid.to_string();
        let status =
            std::process::Command::new(crate::program::SELF).args(["@call", &number, "1"]).status()?;
        check!(status.success(), "the call succeeds in a new program");
        Ok(())
    })
}

fn filters_need_privilege_or_no_new_privs() -> Outcome {
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(attach(&verdict_on(libc::SYS_getppid, ERRNO | 1), 0), EACCES);
        nix::sys::prctl::set_no_new_privs()?;
        attach(&verdict_on(libc::SYS_getppid, ERRNO | 1), 0)?;
        check_eq!(getppid(), Err(Errno::EPERM));
        Ok(())
    })
}

fn bad_filters_are_refused() -> Outcome {
    check_fails!(attach(&[], 0), EINVAL);
    check_fails!(attach(&vec![ret(ALLOW); 4097], 0), EINVAL);
    check_fails!(attach(&[load(0)], 0), EINVAL);
    check_fails!(attach(&[load(2), ret(ALLOW)], 0), EINVAL);
    check_fails!(attach(&[load(64), ret(ALLOW)], 0), EINVAL);
    check_fails!(attach(&[test(0, 1, 0), ret(ALLOW)], 0), EINVAL);
    check_fails!(attach(&[op(libc::BPF_LD | libc::BPF_MEM, 0), ret(ALLOW)], 0), EINVAL);
    check_fails!(attach(&[op(libc::BPF_ALU | libc::BPF_DIV, 0), ret(ALLOW)], 0), EINVAL);
    // Of packets only: loads of bytes.
    let byte = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    check_fails!(attach(&[op(byte, 0), ret(ALLOW)], 0), EINVAL);
    check_fails!(raw::harmless(libc::SYS_seccomp, [SET_MODE_FILTER, 0, raw::BAD_ADDRESS]), EFAULT);
    let claim = libc::sock_fprog { len: 1, filter: std::ptr::without_provenance_mut(raw::BAD_ADDRESS) };
    // SAFETY: the claim lives on, and the kernel only reads what it names.
    let result = unsafe { raw::syscall(libc::SYS_seccomp, [SET_MODE_FILTER, 0, (&raw const claim).addr()]) };
    check_fails!(result, EFAULT);
    Ok(())
}

fn filters_may_not_be_too_long_together() -> Outcome {
    let mut program = vec![op(libc::BPF_LD | libc::BPF_IMM, 0); 4095];
    program.push(ret(ALLOW));
    let mut attached = 0;
    while attached < 20 {
        match attach(&program, 0) {
            Err(Errno::ENOMEM) => break,
            result => result.map(drop)?,
        }
        attached += 1;
    }
    // 32,768 instructions, with four more for each filter before.
    check_eq!(attached, 7);
    check!(getppid().is_ok());
    Ok(())
}

static TRAPPED: [AtomicI32; 4] = [const { AtomicI32::new(0) }; 4];

extern "C" fn on_trap(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands over a whole siginfo_t, whose union begins at the fifth integer: an address, the number, the architecture.
    let words: [i32; 8] = unsafe { info.cast::<[i32; 8]>().read() };
    for (to, from) in TRAPPED.iter().zip([words[1], words[2], words[6], words[7]]) {
        to.store(from, Ordering::Relaxed);
    }
}

fn a_trap_is_a_signal_with_what_was_called() -> Outcome {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
    let action = SigAction::new(SigHandler::SigAction(on_trap), SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: the handler only stores to atomics.
    unsafe { sigaction(Signal::SIGSYS, &action) }?;
    attach(&verdict_on(libc::SYS_getppid, libc::SECCOMP_RET_TRAP | 99), 0)?;
    // The call was not made: its number is still in the register that would hold a result.
    check_eq!(getppid(), Ok(libc::SYS_getppid as usize));
    let trapped: Vec<i32> = TRAPPED.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let architecture = 0xc000_003e_u32.cast_signed();
    check_eq!(trapped, [99, 1, libc::SYS_getppid as i32, architecture]);
    // Blocked or ignored it is the end.
    let child = child::fork(|| {
        let _ = SigSet::from(Signal::SIGSYS).thread_block();
        let _ = getppid();
        1
    })?;
    check_eq!(child.end_signal()?, Signal::SIGSYS);
    Ok(())
}

/// Starts a thread that attaches `program`, says so, and makes the call.
fn victim(program: Vec<libc::sock_filter>) -> std::thread::JoinHandle<nix::Result<usize>> {
    std::thread::spawn(move || {
        attach(&program, 0)?;
        getppid()
    })
}

fn killing_a_thread_leaves_the_others() -> Outcome {
    let child = child::fork_case(|| {
        let ended = mpsc::channel::<()>();
        let sender = ended.0;
        std::thread::spawn(move || {
            let _held = sender;
            let _ = attach(&verdict_on(libc::SYS_getppid, KILL_THREAD), 0);
            let _ = getppid();
            std::process::exit(3);
        });
        child::until("the thread is gone", || Ok(fs::read_dir("/proc/self/task")?.count() == 1))?;
        check!(getppid().is_ok());
        // Nothing was cleaned up behind it.
        check_eq!(ended.1.try_recv(), Err(mpsc::TryRecvError::Empty));
        Ok(())
    })?;
    check_eq!(child.exit_code()?, 0);
    let alone = child::fork(|| {
        let _ = attach(&verdict_on(libc::SYS_getppid, KILL_THREAD), 0);
        let _ = getppid();
        1
    })?;
    check_eq!(alone.end_signal()?, Signal::SIGSYS);
    Ok(())
}

fn killing_a_process_takes_all_threads() -> Outcome {
    for verdict in [KILL_PROCESS, 0x1234_0000] {
        let child = child::fork(|| {
            let _ = victim(verdict_on(libc::SYS_getppid, verdict)).join();
            1
        })?;
        check_eq!(child.end_signal()?, Signal::SIGSYS);
    }
    Ok(())
}

fn unanswered_verdicts_fail_with_enosys() -> Outcome {
    attach(&verdict_on(libc::SYS_getppid, libc::SECCOMP_RET_TRACE | 1), 0)?;
    check_eq!(getppid(), Err(Errno::ENOSYS));
    attach(&verdict_on(libc::SYS_getpgrp, libc::SECCOMP_RET_USER_NOTIF), 0)?;
    check_eq!(raw::harmless(libc::SYS_getpgrp, []), Err(Errno::ENOSYS));
    Ok(())
}

/// A thread that waits for a word and then makes the call.
fn bystander(
    word: mpsc::Receiver<()>,
    tid: &'static AtomicU32,
) -> std::thread::JoinHandle<nix::Result<usize>> {
    std::thread::spawn(move || {
        tid.store(nix::unistd::gettid().as_raw().cast_unsigned(), Ordering::SeqCst);
        let _ = word.recv();
        getppid()
    })
}

fn until_started(tid: &AtomicU32) -> Outcome {
    child::until("the thread runs", || Ok(tid.load(Ordering::SeqCst) != 0))
}

fn a_filter_goes_to_all_threads() -> Outcome {
    static TID: AtomicU32 = AtomicU32::new(0);
    child::passes(|| {
        let (say, word) = mpsc::channel();
        let other = bystander(word, &TID);
        until_started(&TID)?;
        attach(&verdict_on(libc::SYS_getpgrp, ERRNO | 2), 0)?;
        attach(&verdict_on(libc::SYS_getppid, ERRNO | 1), TSYNC)?;
        let _ = say.send(());
        let result = other.join().map_err(|_| crate::case::Failure::wrong("the thread panicked"))?;
        check_eq!(result, Err(Errno::EPERM));
        Ok(())
    })
}

fn a_thread_with_filters_of_its_own_is_in_the_way() -> Outcome {
    static TID: AtomicU32 = AtomicU32::new(0);
    child::passes(|| {
        let (say, word) = mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let attached = attach(&verdict_on(libc::SYS_getpgrp, ERRNO | 1), 0);
            TID.store(nix::unistd::gettid().as_raw().cast_unsigned(), Ordering::SeqCst);
            let _ = word.recv();
            attached.and(getppid())
        });
        until_started(&TID)?;
        let program = verdict_on(libc::SYS_getppid, ERRNO | 1);
        check_eq!(attach(&program, TSYNC), Ok(TID.load(Ordering::SeqCst) as usize));
        check_fails!(attach(&program, TSYNC | TSYNC_ESRCH), ESRCH);
        check!(getppid().is_ok(), "a filter that was refused is there");
        let _ = say.send(());
        let result = other.join().map_err(|_| crate::case::Failure::wrong("the thread panicked"))?;
        check!(result.is_ok(), "{result:?}");
        Ok(())
    })
}

fn seccomp_checks_its_arguments() -> Outcome {
    let call = |operation, flags, argument| raw::harmless(libc::SYS_seccomp, [operation, flags, argument]);
    check_fails!(call(99, 0, 0), EINVAL);
    check_fails!(call(SET_MODE_STRICT, 1, 0), EINVAL);
    check_fails!(call(SET_MODE_STRICT, 0, 1), EINVAL);
    check_fails!(call(SET_MODE_FILTER, 1 << 20, 0), EINVAL);
    check_fails!(call(GET_ACTION_AVAIL, 1, 0), EINVAL);
    check_fails!(call(GET_ACTION_AVAIL, 0, raw::BAD_ADDRESS), EFAULT);
    for (action, is_there) in [(ALLOW, true), (ERRNO, true), (KILL_PROCESS, true), (0x1234_0000, false)] {
        // SAFETY: the kernel reads one number, which lives on.
        let result =
            unsafe { raw::syscall(libc::SYS_seccomp, [GET_ACTION_AVAIL, 0, (&raw const action).addr()]) };
        check_eq!(result, if is_there { Ok(0) } else { Err(Errno::EOPNOTSUPP) });
    }
    check_fails!(raw::harmless(libc::SYS_prctl, [libc::PR_SET_SECCOMP as usize, 3, 0, 0, 0]), EINVAL);
    attach(&[ret(ALLOW)], 0)?;
    check_fails!(call(SET_MODE_STRICT, 0, 0), EINVAL);
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")?;
    check!(["kill_process", "trap", "errno", "allow"].iter().all(|name| actions.contains(name)), "{actions}");
    Ok(())
}

fn status_shows_filters() -> Outcome {
    let field = |name: &str| -> Outcome<String> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(&format!("{name}:\t")).map(str::to_owned));
        line.ok_or_else(|| crate::case::Failure::wrong("no such line"))
    };
    check_eq!((field("Seccomp")?, field("Seccomp_filters")?), ("0".into(), "0".into()));
    attach(&[ret(ALLOW)], 0)?;
    attach(&[ret(ALLOW)], 0)?;
    check_eq!((field("Seccomp")?, field("Seccomp_filters")?), ("2".into(), "2".into()));
    Ok(())
}
