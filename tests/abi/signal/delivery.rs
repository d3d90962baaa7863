//! kill(2), tgkill(2), rt_sigqueueinfo(2): a signal arrives where and as it was sent.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering};

use nix::sys::signal::{SaFlags, SigHandler, SigSet, Signal, kill, raise};
use nix::unistd::{getpid, gettid};

use super::{COUNT, count_on, counted, install, only};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("signal":
    a_handler_runs_once_per_signal,
    siginfo_names_the_sender,
    sigqueue_carries_a_value,
    realtime_signals_queue_in_order,
    standard_signals_do_not_queue,
    tgkill_reaches_one_thread,
    a_signal_interrupts_another_process,
    default_actions_end_or_ignore,
    a_spinning_process_is_interrupted,
    siginfo_of_sigchld_tells_the_status,
);

fn a_handler_runs_once_per_signal() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    for expected in 1..=10 {
        kill(getpid(), Signal::SIGUSR1)?;
        check_eq!(counted(), expected);
    }
    Ok(())
}

static CODE: AtomicI32 = AtomicI32::new(0);
static PID: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicI64 = AtomicI64::new(0);
static STATUS: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid structure.
    let info = unsafe { &*info };
    CODE.store(info.si_code, Ordering::SeqCst);
    // SAFETY: every way in which these cases send a signal fills the sender's pid.
    PID.store(unsafe { info.si_pid() }, Ordering::SeqCst);
    if signal == libc::SIGCHLD {
        // SAFETY: SIGCHLD carries a status.
        STATUS.store(unsafe { info.si_status() }, Ordering::SeqCst);
    } else {
        // SAFETY: rt_sigqueueinfo fills a value; for other signals it is not looked at.
        VALUE.store(unsafe { info.si_value() }.sival_ptr as i64, Ordering::SeqCst);
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
}

fn siginfo_names_the_sender() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::SigAction(note), SaFlags::SA_SIGINFO, SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!((CODE.load(Ordering::SeqCst), PID.load(Ordering::SeqCst)), (libc::SI_USER, getpid().as_raw()));
    let parent = getpid();
    let child = child::fork(|| i32::from(kill(parent, Signal::SIGUSR1).is_err()))?;
    check_eq!(child.exit_code()?, 0);
    check_eq!(PID.load(Ordering::SeqCst), child.pid.as_raw());
    raise(Signal::SIGUSR1)?;
    check_eq!(CODE.load(Ordering::SeqCst), libc::SI_TKILL);
    Ok(())
}

fn sigqueue(signal: i32, value: usize) -> nix::Result<()> {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    // SAFETY: sends a signal to this process, which has a handler or blocks it.
    nix::errno::Errno::result(unsafe { libc::sigqueue(getpid().as_raw(), signal, value) }).map(drop)
}

fn sigqueue_carries_a_value() -> Outcome {
    install(Signal::SIGUSR2, SigHandler::SigAction(note), SaFlags::SA_SIGINFO, SigSet::empty())?;
    sigqueue(libc::SIGUSR2, 0x1234_5678)?;
    check_eq!(VALUE.load(Ordering::SeqCst), 0x1234_5678);
    check_eq!((CODE.load(Ordering::SeqCst), PID.load(Ordering::SeqCst)), (libc::SI_QUEUE, getpid().as_raw()));
    Ok(())
}

static ORDER: [AtomicI64; 8] = [const { AtomicI64::new(0) }; 8];
static NEXT: AtomicU32 = AtomicU32::new(0);

extern "C" fn note_order(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid structure.
    let info = unsafe { &*info };
    // SAFETY: sigqueue fills a value.
    let value = unsafe { info.si_value() }.sival_ptr as i64;
    let slot = NEXT.fetch_add(1, Ordering::SeqCst) as usize;
    if let Some(slot) = ORDER.get(slot) {
        slot.store(i64::from(signal) * 100 + value, Ordering::SeqCst);
    }
}

fn realtime_signals_queue_in_order() -> Outcome {
    let (low, high) = (libc::SIGRTMIN(), libc::SIGRTMIN() + 1);
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    for signal in [low, high] {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        let fields = action.as_mut_ptr();
        // SAFETY: all zeroes are a valid action.
        let fields = unsafe { &mut *fields };
        fields.sa_sigaction = note_order as *const () as usize;
        fields.sa_flags = libc::SA_SIGINFO;
        // A handler must not be interrupted by the other signal, or the order of notes would be another.
        // SAFETY: fills a live local.
        unsafe { libc::sigfillset(&raw mut fields.sa_mask) };
        // SAFETY: the handler is async-signal-safe.
        nix::errno::Errno::result(unsafe { libc::sigaction(signal, fields, std::ptr::null_mut()) })?;
        // SAFETY: adds to a set of zeroes, which is the empty set.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is a live local.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
    for value in [1, 2, 3] {
        sigqueue(high, value)?;
        sigqueue(low, value)?;
    }
    // SAFETY: the set is a live local.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut()) };
    let order: Vec<i64> = ORDER.iter().map(|slot| slot.load(Ordering::SeqCst)).take(6).collect();
    let (low, high) = (i64::from(low) * 100, i64::from(high) * 100);
    check_eq!(order, vec![low + 1, low + 2, low + 3, high + 1, high + 2, high + 3]);
    Ok(())
}

fn standard_signals_do_not_queue() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    only(Signal::SIGUSR1).thread_block()?;
    for _ in 0..5 {
        kill(getpid(), Signal::SIGUSR1)?;
    }
    only(Signal::SIGUSR1).thread_unblock()?;
    check_eq!(counted(), 1);
    Ok(())
}

static SEEN_BY: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_thread(_: libc::c_int) {
    SEEN_BY.store(gettid().as_raw(), Ordering::SeqCst);
}

fn tgkill_reaches_one_thread() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::Handler(note_thread), SaFlags::empty(), SigSet::empty())?;
    let (sender, receiver) = std::sync::mpsc::channel();
    let (done_sender, done) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(gettid());
        let _ = done.recv();
    });
    let tid = receiver.recv()?;
    let numbers = [getpid(), tid].map(|pid| pid.as_raw().unsigned_abs() as usize);
    let signal = libc::SIGUSR1.unsigned_abs() as usize;
    crate::raw::harmless(libc::SYS_tgkill, [numbers[0], numbers[1], signal])?;
    child::until("the thread has seen the signal", || Ok(SEEN_BY.load(Ordering::SeqCst) == tid.as_raw()))?;
    drop(done_sender);
    check!(thread.join().is_ok());
    check_fails!(crate::raw::harmless(libc::SYS_tgkill, [numbers[0], 0x3f_ffff, signal]), ESRCH);
    Ok(())
}

fn a_signal_interrupts_another_process() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    let child = child::fork(|| {
        nix::unistd::pause();
        i32::try_from(counted()).unwrap_or(99)
    })?;
    child.until_asleep()?;
    child.kill(Signal::SIGUSR1)?;
    check_eq!(child.exit_code()?, 1);
    check_eq!(counted(), 0);
    Ok(())
}

fn default_actions_end_or_ignore() -> Outcome {
    for signal in
        [Signal::SIGHUP, Signal::SIGPIPE, Signal::SIGALRM, Signal::SIGABRT, Signal::SIGIO, Signal::SIGSYS]
    {
        let child = child::fork(|| {
            // std ignores SIGPIPE at start.
            let _ = install(signal, SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            let _ = kill(getpid(), signal);
            0
        })?;
        check_eq!(child.end_signal()?, signal);
    }
    for signal in [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGWINCH, Signal::SIGCONT] {
        check_eq!(child::fork(|| i32::from(kill(getpid(), signal).is_err()))?.exit_code()?, 0);
    }
    Ok(())
}

fn a_spinning_process_is_interrupted() -> Outcome {
    let child = child::fork(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    std::thread::sleep(std::time::Duration::from_millis(20));
    child.kill(Signal::SIGTERM)?;
    check_eq!(child.end_signal()?, Signal::SIGTERM);
    Ok(())
}

fn siginfo_of_sigchld_tells_the_status() -> Outcome {
    install(Signal::SIGCHLD, SigHandler::SigAction(note), SaFlags::SA_SIGINFO, SigSet::empty())?;
    let child = child::fork(|| 23)?;
    child::until("SIGCHLD has arrived", || Ok(counted() > 0))?;
    check_eq!((CODE.load(Ordering::SeqCst), STATUS.load(Ordering::SeqCst)), (libc::CLD_EXITED, 23));
    check_eq!(PID.load(Ordering::SeqCst), child.pid.as_raw());
    check_eq!(child.exit_code()?, 23);
    Ok(())
}
