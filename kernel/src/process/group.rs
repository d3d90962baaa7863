//! Process groups and sessions (setpgid(2), setsid(2), credentials(7)).

use super::Process;
use super::pid::Pid;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use ostd::sync::SpinLock;

/// A process group: what a terminal's signals and kill(2) with a negative id go to.
#[derive(Debug)]
pub struct ProcessGroup {
    id: Arc<Pid>,
    session: Arc<Session>,
    members: SpinLock<Vec<Weak<Process>>>,
}

/// A session: groups that share a controlling terminal.
pub struct Session {
    id: Arc<Pid>,
    terminal: SpinLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Session({})", self.id.global())
    }
}

impl Session {
    /// A new session without a terminal.
    pub fn new(id: &Arc<Pid>) -> Arc<Self> {
        let session = Arc::new(Self { id: id.clone(), terminal: SpinLock::new(None) });
        id.attach_session(&session);
        session
    }

    /// Its id: that of its leader.
    pub fn id(&self) -> &Arc<Pid> {
        &self.id
    }

    /// The process that made it, if it is still there.
    pub fn leader(&self) -> Option<Arc<Process>> {
        self.id.process()
    }

    /// The controlling terminal. Its type is the terminal layer's own: sessions know nothing of terminals.
    pub fn terminal(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.terminal.lock_irq().clone()
    }

    /// Sets or takes away the controlling terminal.
    pub fn set_terminal(&self, terminal: Option<Arc<dyn Any + Send + Sync>>) {
        let old = core::mem::replace(&mut *self.terminal.lock_irq(), terminal);
        drop(old);
    }
}

impl ProcessGroup {
    /// A new, empty group.
    pub fn new(id: &Arc<Pid>, session: &Arc<Session>) -> Arc<Self> {
        let group =
            Arc::new(Self { id: id.clone(), session: session.clone(), members: SpinLock::new(Vec::new()) });
        id.attach_group(&group);
        group
    }

    /// Its id.
    pub fn id(&self) -> &Arc<Pid> {
        &self.id
    }

    /// The session it is in.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The processes in it now. May be called from an interrupt.
    pub fn members(&self) -> Vec<Arc<Process>> {
        self.members.lock_irq().iter().filter_map(Weak::upgrade).collect()
    }

    /// Adds a process.
    pub(in crate::process) fn join(&self, process: &Arc<Process>) {
        self.members.lock_irq().push(Arc::downgrade(process));
    }

    /// Takes a process out.
    pub(in crate::process) fn leave(&self, process: &Process) {
        self.members.lock_irq().retain(|member| !core::ptr::eq(member.as_ptr(), process));
    }

    /// Whether no member has a parent in another group of the same session (POSIX 3.264): nobody is left to continue it.
    pub fn is_orphaned(&self) -> bool {
        self.members().iter().all(|member| {
            if member.exit_status().is_some() {
                return true;
            }
            match member.parent() {
                None => true,
                Some(parent) => {
                    let group = parent.group();
                    parent.is_init()
                        || group.id.global() == self.id.global()
                        || !Arc::ptr_eq(&group.session, &self.session)
                }
            }
        })
    }

    /// Whether a member is stopped.
    pub fn has_stopped(&self) -> bool {
        self.members().iter().any(|member| member.signals.is_stopping())
    }
}
