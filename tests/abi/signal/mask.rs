//! rt_sigprocmask(2), rt_sigpending(2) and the mask of a running handler.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{SaFlags, SigHandler, SigSet, Signal, kill};
use nix::unistd::getpid;

use super::{COUNT, count_on, counted, install, only};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("signal":
    a_blocked_signal_waits,
    a_handler_blocks_its_own_signal,
    nodefer_lets_a_handler_nest,
    the_action_mask_holds_in_the_handler,
    the_mask_is_restored_after_the_handler,
    pending_lists_blocked_signals,
    threads_have_their_own_mask,
    a_bad_set_size_fails_with_einval,
);

fn a_blocked_signal_waits() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    only(Signal::SIGUSR1).thread_block()?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!(counted(), 0);
    only(Signal::SIGUSR1).thread_unblock()?;
    check_eq!(counted(), 1);
    Ok(())
}

static DEEPEST: AtomicU32 = AtomicU32::new(0);

/// Sends itself the same signal, at most three levels deep, and notes the depth.
extern "C" fn nest(signal: libc::c_int) {
    static DEPTH: AtomicU32 = AtomicU32::new(0);
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    DEEPEST.fetch_max(depth, Ordering::SeqCst);
    if COUNT.fetch_add(1, Ordering::SeqCst) < 2
        && let Ok(signal) = Signal::try_from(signal)
    {
        let _ = kill(getpid(), signal);
    }
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

fn a_handler_blocks_its_own_signal() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::Handler(nest), SaFlags::empty(), SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!((counted(), DEEPEST.load(Ordering::SeqCst)), (3, 1));
    Ok(())
}

fn nodefer_lets_a_handler_nest() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::Handler(nest), SaFlags::SA_NODEFER, SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!((counted(), DEEPEST.load(Ordering::SeqCst)), (3, 3));
    Ok(())
}

extern "C" fn send_usr2(_: libc::c_int) {
    let before = counted();
    let _ = kill(getpid(), Signal::SIGUSR2);
    DEEPEST.store(counted() - before, Ordering::SeqCst);
}

fn the_action_mask_holds_in_the_handler() -> Outcome {
    count_on(Signal::SIGUSR2, SaFlags::empty())?;
    install(Signal::SIGUSR1, SigHandler::Handler(send_usr2), SaFlags::empty(), only(Signal::SIGUSR2))?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!((DEEPEST.load(Ordering::SeqCst), counted()), (0, 1));
    install(Signal::SIGUSR1, SigHandler::Handler(send_usr2), SaFlags::empty(), SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!((DEEPEST.load(Ordering::SeqCst), counted()), (1, 2));
    Ok(())
}

fn the_mask_is_restored_after_the_handler() -> Outcome {
    only(Signal::SIGWINCH).thread_block()?;
    let before = SigSet::thread_get_mask()?;
    install(Signal::SIGUSR1, SigHandler::Handler(super::count), SaFlags::empty(), SigSet::all())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!(SigSet::thread_get_mask()?, before);
    Ok(())
}

fn pending_lists_blocked_signals() -> Outcome {
    let mut blocked = only(Signal::SIGUSR1);
    blocked.add(Signal::SIGTERM);
    blocked.thread_block()?;
    kill(getpid(), Signal::SIGTERM)?;
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is a live local.
    nix::errno::Errno::result(unsafe { libc::sigpending(set.as_mut_ptr()) })?;
    // SAFETY: all zeroes are a valid set, and the call has filled it.
    let set = unsafe { set.assume_init() };
    // SAFETY: the set came from the kernel.
    let pending = unsafe { SigSet::from_sigset_t_unchecked(set) };
    check!(pending.contains(Signal::SIGTERM) && !pending.contains(Signal::SIGUSR1));
    check_eq!(blocked.wait()?, Signal::SIGTERM);
    Ok(())
}

fn threads_have_their_own_mask() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    only(Signal::SIGUSR1).thread_block()?;
    let thread = std::thread::spawn(|| {
        let inherited = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGUSR1));
        inherited && only(Signal::SIGUSR1).thread_unblock().is_ok()
    });
    check!(thread.join().is_ok_and(|worked| worked));
    check!(SigSet::thread_get_mask()?.contains(Signal::SIGUSR1));
    Ok(())
}

fn a_bad_set_size_fails_with_einval() -> Outcome {
    check_fails!(crate::raw::harmless(libc::SYS_rt_sigprocmask, [0, 0, 0, 4]), EINVAL);
    let mask = SigSet::empty();
    let address = std::ptr::from_ref(&mask) as usize;
    // SAFETY: the kernel reads a live local at most, and refuses the operation.
    check_fails!(unsafe { crate::raw::syscall(libc::SYS_rt_sigprocmask, [77, address, 0, 8]) }, EINVAL);
    Ok(())
}
