//! Job control: stopping and continuing.

use std::sync::atomic::Ordering;

use nix::sys::signal::{SaFlags, Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::{LAST, count_on, counted};
use crate::case::{Outcome, cases, check, check_eq};
use crate::child::{self, Child};

cases!("signal":
    a_stopped_process_stays_stopped,
    continue_wakes_it_and_runs_its_handler,
    kill_ends_a_stopped_process,
    other_signals_wait_for_continue,
    the_parent_hears_of_stops,
    nocldstop_keeps_the_parent_quiet,
    all_threads_stop,
);

fn stopped() -> Outcome<Child> {
    let child = child::fork(|| {
        let _ = count_on(Signal::SIGCONT, SaFlags::empty());
        let _ = raise(Signal::SIGSTOP);
        if counted() == 1 { 3 } else { 4 }
    })?;
    let status = waitpid(child.pid, Some(WaitPidFlag::WUNTRACED))?;
    check_eq!(status, WaitStatus::Stopped(child.pid, Signal::SIGSTOP));
    Ok(child)
}

fn a_stopped_process_stays_stopped() -> Outcome {
    let child = stopped()?;
    std::thread::sleep(std::time::Duration::from_millis(30));
    check_eq!(child.poll()?, WaitStatus::StillAlive);
    check_eq!(child.state()?, 'T');
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn continue_wakes_it_and_runs_its_handler() -> Outcome {
    let child = stopped()?;
    child.kill(Signal::SIGCONT)?;
    check_eq!(child.exit_code()?, 3);
    Ok(())
}

fn kill_ends_a_stopped_process() -> Outcome {
    let child = stopped()?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    Ok(())
}

fn other_signals_wait_for_continue() -> Outcome {
    let child = stopped()?;
    child.kill(Signal::SIGTERM)?;
    std::thread::sleep(std::time::Duration::from_millis(20));
    check_eq!(child.state()?, 'T');
    child.kill(Signal::SIGCONT)?;
    check_eq!(child.end_signal()?, Signal::SIGTERM);
    Ok(())
}

fn the_parent_hears_of_stops() -> Outcome {
    count_on(Signal::SIGCHLD, SaFlags::empty())?;
    let child = stopped()?;
    check_eq!((counted(), LAST.load(Ordering::SeqCst)), (1, libc::SIGCHLD));
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn nocldstop_keeps_the_parent_quiet() -> Outcome {
    count_on(Signal::SIGCHLD, SaFlags::SA_NOCLDSTOP)?;
    let child = stopped()?;
    check_eq!(counted(), 0);
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    check_eq!(counted(), 1);
    Ok(())
}

fn all_threads_stop() -> Outcome {
    let memory = crate::memory::Mapping::shared(4096)?;
    let address = memory.address();
    let child = child::fork(|| {
        std::thread::spawn(move || {
            loop {
                // SAFETY: the shared page stays mapped as long as this process lives.
                unsafe { &*(address as *const std::sync::atomic::AtomicU32) }.fetch_add(1, Ordering::Relaxed);
            }
        });
        nix::unistd::pause();
        0
    })?;
    let read = || memory.bytes(0..4);
    child::until("the thread counts", || Ok(read() != [0; 4]))?;
    child.kill(Signal::SIGSTOP)?;
    waitpid(child.pid, Some(WaitPidFlag::WUNTRACED))?;
    let before = read();
    std::thread::sleep(std::time::Duration::from_millis(30));
    check!(read() == before, "a thread of a stopped process runs");
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}
