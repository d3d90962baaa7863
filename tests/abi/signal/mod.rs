//! Signals: sending, delivery, masks, waiting, and their effect on system calls.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::case::Case;

mod delivery;
mod fault;
mod frame;
mod mask;
mod restart;
mod sigaction;
mod stop;
mod wait;

pub const CASES: &[&[Case]] = &[
    delivery::CASES,
    sigaction::CASES,
    mask::CASES,
    frame::CASES,
    restart::CASES,
    wait::CASES,
    fault::CASES,
    stop::CASES,
];

/// How often `count` has run, and the last signal that it has seen.
static COUNT: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(signal: libc::c_int) {
    LAST.store(signal, Ordering::SeqCst);
    COUNT.fetch_add(1, Ordering::SeqCst);
}

fn counted() -> u32 {
    COUNT.load(Ordering::SeqCst)
}

/// Installs the handler that counts.
fn count_on(signal: Signal, flags: SaFlags) -> nix::Result<()> {
    install(signal, SigHandler::Handler(count), flags, SigSet::empty())
}

/// Installs a handler of this module, all of which only store to atomics, write to descriptors or leave the process.
fn install(signal: Signal, handler: SigHandler, flags: SaFlags, mask: SigSet) -> nix::Result<()> {
    // SAFETY: the handlers of these cases are async-signal-safe.
    unsafe { sigaction(signal, &SigAction::new(handler, flags, mask)) }.map(drop)
}

fn only(signal: Signal) -> SigSet {
    let mut set = SigSet::empty();
    set.add(signal);
    set
}

/// The disposition of a signal as an exit code: 0 default, 1 ignored, 2 handled; for a program that has been executed.
pub fn disposition_code(signal: i32) -> i32 {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is installed, and the old action goes to a live local.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeroes are a valid action.
    let action = unsafe { action.assume_init() };
    match (result, action.sa_sigaction) {
        (0, libc::SIG_DFL) => 0,
        (0, libc::SIG_IGN) => 1,
        (0, _) => 2,
        _ => 99,
    }
}

/// 1 if the signal is blocked, 0 if not; for a program that has been executed.
pub fn blocked_code(signal: i32) -> i32 {
    let is_blocked =
        Signal::try_from(signal).and_then(|signal| Ok(SigSet::thread_get_mask()?.contains(signal)));
    is_blocked.map_or(99, i32::from)
}
