//! Job control: the session that a terminal controls, its foreground group, and who is stopped for reading or writing out of turn
//! (termios(3), credentials(7)).

use super::Tty;
use crate::error::{Errno, Error, Result};
use crate::process::Process;
use crate::process::group::{ProcessGroup, Session};
use crate::process::namespace::pid::PidNamespace;
use crate::process::pid::Pid;
use crate::signal::{SigInfo, Signal, send};
use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use coffer_line_discipline::Key;
use ostd::sync::SpinLock;

/// Whom a terminal controls.
#[derive(Debug, Default)]
pub struct Control {
    session: Weak<Session>,
    /// The foreground group's id: it stays taken as long as the terminal names it.
    foreground: Option<Arc<Pid>>,
}

/// The locked [`Control`] of a terminal. Taken with interrupts as they are: keys are served by a task.
pub type ControlLock = SpinLock<Control>;

/// The controlling terminal of a session.
pub fn terminal_of(session: &Session) -> Option<Arc<Tty>> {
    session.terminal()?.downcast().ok()
}

/// `tty_nr` and `tpgid` of /proc/PID/stat.
pub fn shown(session: &Session, namespace: &Arc<PidNamespace>) -> (u32, i32) {
    let Some(tty) = terminal_of(session) else { return (0, -1) };
    let foreground = tty.control.lock().foreground.as_ref().map_or(-1, |id| id.number_in(namespace) as i32);
    (tty.device() as u32, foreground)
}

/// A session leader ends: its session loses its terminal, and those who used it are told.
pub fn leader_ends(session: &Session) {
    let Some(tty) = terminal_of(session) else { return };
    let foreground = tty.foreground();
    tty.release();
    if let Some(group) = foreground {
        signal(&group, Signal::HUP);
        signal(&group, Signal::CONT);
    }
    if !tty.port.is_pseudo() {
        tty.hang_up();
    }
}

impl Tty {
    /// The foreground group, if there is one.
    pub fn foreground(&self) -> Option<Arc<ProcessGroup>> {
        self.control.lock().foreground.as_ref()?.group()
    }

    /// The foreground group's id.
    pub fn foreground_id(&self) -> Option<Arc<Pid>> {
        self.control.lock().foreground.clone()
    }

    /// The session that it controls.
    pub fn session(&self) -> Option<Arc<Session>> {
        self.control.lock().session.upgrade()
    }

    /// Whether it controls the session of `process`.
    pub fn controls(self: &Arc<Self>, process: &Process) -> bool {
        terminal_of(&process.session()).is_some_and(|own| Arc::ptr_eq(&own, self))
    }

    /// Makes it the controlling terminal of the caller, a session leader without one (TIOCSCTTY). With `steals` it is taken from another
    /// session.
    ///
    /// # Errors
    /// EPERM.
    pub fn take_control(self: &Arc<Self>, process: &Arc<Process>, steals: bool) -> Result<()> {
        let session = process.session();
        let is_leader = session.id().global() == process.pid();
        if is_leader && self.session().is_some_and(|own| Arc::ptr_eq(&own, &session)) {
            return Ok(());
        }
        if !is_leader || session.terminal().is_some() {
            return Err(Error::with(Errno::EPERM, "not a session leader without a terminal"));
        }
        if let Some(other) = self.session() {
            if !steals {
                return Err(Error::with(Errno::EPERM, "the terminal controls another session"));
            }
            other.set_terminal(None);
        }
        *self.control.lock() =
            Control { session: Arc::downgrade(&session), foreground: Some(process.group().id().clone()) };
        session.set_terminal(Some(self.clone()));
        Ok(())
    }

    /// As open(2) without O_NOCTTY does it: if everything fits, and without an error if not.
    pub fn offer_control(self: &Arc<Self>) {
        let Some(thread) = Thread::current() else { return };
        if self.session().is_none() {
            // Not a leader, or one that has a terminal: then it stays as it was.
            let _ = self.take_control(thread.process(), false);
        }
    }

    /// Lets its session go (TIOCNOTTY of a leader, hang-up).
    pub fn release(&self) {
        let old = core::mem::take(&mut *self.control.lock());
        if let Some(session) = old.session.upgrade() {
            session.set_terminal(None);
        }
    }

    /// Makes `group` the foreground group (TIOCSPGRP).
    pub fn set_foreground(&self, group: &ProcessGroup) {
        self.control.lock().foreground = Some(group.id().clone());
    }

    /// A background process that uses its controlling terminal is stopped by `signal`: SIGTTIN for reading, SIGTTOU for the rest.
    ///
    /// # Errors
    /// ERESTARTSYS once the signal is sent; EIO where nobody could continue the process, or where it would read and cannot be stopped.
    pub fn check_turn(self: &Arc<Self>, stop: Signal) -> Result<()> {
        let Some(thread) = Thread::current() else { return Ok(()) };
        let process = thread.process();
        if !self.controls(process) {
            return Ok(());
        }
        let group = process.group();
        if self.foreground_id().is_none_or(|id| Arc::ptr_eq(&id, group.id())) {
            return Ok(());
        }
        let is_deaf = thread.signals.mask().contains(stop)
            || process.signals.actions().explicitly_ignored().contains(stop);
        if is_deaf {
            return if stop == Signal::TTIN { Err(Errno::EIO.into()) } else { Ok(()) };
        }
        if group.is_orphaned() {
            return Err(Errno::EIO.into());
        }
        signal(&group, stop);
        Err(Errno::ERESTARTSYS.into())
    }

    /// Sends what a key stands for to the foreground group.
    pub fn press(&self, key: Key) {
        let stop = match key {
            Key::Interrupt => Signal::INT,
            Key::Quit => Signal::QUIT,
            Key::Suspend => Signal::TSTP,
        };
        self.signal_foreground(stop);
    }

    /// Sends to the foreground group.
    pub fn signal_foreground(&self, what: Signal) {
        if let Some(group) = self.foreground() {
            signal(&group, what);
        }
    }

    /// The line is cut: the session leader hears SIGHUP and SIGCONT, the foreground group SIGHUP, and the session has no terminal any more.
    pub fn cut(&self) {
        let (session, foreground) = (self.session(), self.foreground());
        self.hang_up();
        self.release();
        if let Some(leader) = session.and_then(|session| session.leader()) {
            tell(&leader, Signal::HUP);
            tell(&leader, Signal::CONT);
        }
        if let Some(group) = foreground {
            signal(&group, Signal::HUP);
        }
    }
}

/// A group without members hears nothing.
fn signal(group: &ProcessGroup, what: Signal) {
    let _ = send::to_group(group, SigInfo::kernel(what));
}

fn tell(process: &Process, what: Signal) {
    // Only real-time signals can find a queue full.
    let _ = send::to_process(process, SigInfo::kernel(what));
}
