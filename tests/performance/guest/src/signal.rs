//! Installing a handler, and running it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::getpid;

use crate::bench::{Bench, EACH, time};

pub const BENCHES: &[Bench] = &[
    Bench { name: "sig_install", unit: EACH, run: install_often },
    Bench { name: "sig_deliver", unit: EACH, run: deliver },
];

static DELIVERED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

fn install() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only adds to an atomic.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.map(drop).map_err(io::Error::from)
}

fn install_often(times: u64) -> io::Result<Duration> {
    time(times, install)
}

fn deliver(times: u64) -> io::Result<Duration> {
    install()?;
    DELIVERED.store(0, Ordering::Relaxed);
    let own = getpid();
    let took = time(times, || kill(own, Signal::SIGUSR1).map_err(io::Error::from))?;
    let delivered = DELIVERED.load(Ordering::Relaxed);
    if delivered == times {
        Ok(took)
    } else {
        Err(io::Error::other(format!("{delivered} of {times} signals arrived")))
    }
}
