//! Waiting for children to change state (wait4(2), waitid(2)).

use super::exit_status::ExitStatus;
use super::times::CpuTimes;
use super::{Process, TREE, exit};
use crate::error::{Errno, Result};
use crate::process::pid::Pid;
use crate::signal::Signal;
use crate::signal::state::JobEvent;
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use bitflags::bitflags;

bitflags! {
    /// Options as wait4(2) and waitid(2) number them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        /// Do not block.
        const NOHANG = 1;
        /// Children that have stopped.
        const STOPPED = 2;
        /// Children that have ended.
        const EXITED = 4;
        /// Children that go on.
        const CONTINUED = 8;
        /// Leave the child as it is.
        const NOWAIT = 0x0100_0000;
        /// Not the children of other threads (COMPAT: children belong to the process here, as POSIX has it).
        const NO_THREAD = 0x2000_0000;
        /// Children whatever their exit signal.
        const ALL = 0x4000_0000;
        /// Only children whose exit signal is not SIGCHLD.
        const CLONE = 0x8000_0000;
    }
}

/// Which children.
#[derive(Clone, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// The one with this id.
    Process(Arc<Pid>),
    /// Those in this group.
    Group(Arc<Pid>),
    /// None that there is: ECHILD.
    Nobody,
}

/// What happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It ended.
    Ended(ExitStatus),
    /// It stopped.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

/// A child's change of state.
#[derive(Clone, Debug)]
pub struct Report {
    /// The child.
    pub child: Arc<Process>,
    /// What happened.
    pub event: Event,
    /// CPU time that it and its children used.
    pub times: CpuTimes,
}

/// Waits until one of the children has changed its state as `options` ask; `None`: none has, with NOHANG.
///
/// # Errors
/// ECHILD if there is no such child; ERESTARTSYS.
pub fn wait_for_child(thread: &Thread, which: &Which, options: WaitOptions) -> Result<Option<Report>> {
    let process = thread.process();
    let report = wait::wait_until(&process.child_events, None, || match scan(process, which, options) {
        Ok(None) if !options.contains(WaitOptions::NOHANG) => None,
        result => Some(result),
    })??;
    if let Some(report) = &report
        && matches!(report.event, Event::Ended(_))
        && !options.contains(WaitOptions::NOWAIT)
    {
        exit::release(&report.child);
    }
    Ok(report)
}

fn scan(process: &Process, which: &Which, options: WaitOptions) -> Result<Option<Report>> {
    let _tree = TREE.lock();
    let family = process.family().lock();
    let mut has_any = false;
    for child in family.children.values().filter(|child| is_meant(child, which, options)) {
        has_any = true;
        if let Some(event) = event_of(child, options) {
            let mut times = child.cpu_times();
            times += child.times.children();
            return Ok(Some(Report { child: child.clone(), event, times }));
        }
    }
    if has_any { Ok(None) } else { Err(Errno::ECHILD.into()) }
}

fn is_meant(child: &Process, which: &Which, options: WaitOptions) -> bool {
    // Somebody else's already.
    if child.is_claimed() {
        return false;
    }
    let is_clone = child.exit_signal() != Some(Signal::CHLD);
    if !options.contains(WaitOptions::ALL) && is_clone != options.contains(WaitOptions::CLONE) {
        return false;
    }
    match which {
        Which::Any => true,
        Which::Nobody => false,
        Which::Process(pid) => Arc::ptr_eq(child.id(), pid),
        Which::Group(pid) => Arc::ptr_eq(child.group().id(), pid),
    }
}

fn event_of(child: &Process, options: WaitOptions) -> Option<Event> {
    if let Some(status) = child.exit_status() {
        // A second thread may be about to release it: whoever reports it takes it, below, by marking it.
        if !options.contains(WaitOptions::EXITED) {
            return None;
        }
        let is_taken =
            if options.contains(WaitOptions::NOWAIT) { !child.is_claimed() } else { child.claim_zombie() };
        return is_taken.then_some(Event::Ended(status));
    }
    let mut control = child.signals.control.lock_irq();
    let event = match control.event? {
        JobEvent::Stopped(signal) if options.contains(WaitOptions::STOPPED) => Event::Stopped(signal),
        JobEvent::Continued if options.contains(WaitOptions::CONTINUED) => Event::Continued,
        _ => return None,
    };
    if !options.contains(WaitOptions::NOWAIT) {
        control.event = None;
    }
    Some(event)
}
