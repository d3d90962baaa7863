//! Process ids: one [`Pid`] has a number in every pid namespace from the initial one down to its own (pid_namespaces(7)), and leads to the
//! thread, process, group and session that bear it. The number is free again when all of those are gone.

use super::Process;
use super::group::{ProcessGroup, Session};
use super::namespace::pid::PidNamespace;
use crate::error::Result;
use crate::event::{IoEvents, Pollee};
use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// An identity with its numbers.
#[derive(Debug)]
pub struct Pid {
    /// Outermost namespace first.
    numbers: Vec<(Arc<PidNamespace>, u32)>,
    links: SpinLock<Links>,
    /// For pidfds: told of the process's end.
    pollee: Pollee,
}

#[derive(Debug, Default)]
struct Links {
    thread: Weak<Thread>,
    process: Weak<Process>,
    group: Weak<ProcessGroup>,
    session: Weak<Session>,
}

impl Pid {
    /// A new number in `namespace` and in all above it. `wanted`: the numbers that clone3(2)'s set_tid asks for, innermost first.
    ///
    /// # Errors
    /// EAGAIN when a namespace has no number left, ENOMEM when its init has gone, EEXIST for a wanted number that is taken.
    pub fn allocate(namespace: &Arc<PidNamespace>, wanted: &[u32]) -> Result<Arc<Self>> {
        let mut numbers = Vec::with_capacity(namespace.level() + 1);
        let mut next = Some(namespace);
        let mut result = Ok(());
        while let Some(namespace) = next {
            match namespace.take_number(wanted.get(numbers.len()).copied()) {
                Ok(number) => numbers.push((namespace.clone(), number)),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
            next = namespace.parent();
        }
        numbers.reverse();
        // From here on dropping gives the numbers back.
        let pid = Arc::new(Self { numbers, links: SpinLock::new(Links::default()), pollee: Pollee::new() });
        result?;
        for (namespace, number) in &pid.numbers {
            namespace.enter(*number, &pid);
        }
        Ok(pid)
    }

    /// Its number in the initial namespace.
    pub fn global(&self) -> u32 {
        self.numbers[0].1
    }

    /// Its number in its own namespace.
    pub fn own(&self) -> u32 {
        self.numbers[self.numbers.len() - 1].1
    }

    /// Its number in `namespace`, 0 where it cannot be seen.
    pub fn number_in(&self, namespace: &Arc<PidNamespace>) -> u32 {
        match self.numbers.get(namespace.level()) {
            Some((own, number)) if Arc::ptr_eq(own, namespace) => *number,
            _ => 0,
        }
    }

    /// All numbers, outermost first (NSpid in /proc/PID/status).
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers.iter().map(|(_, number)| *number)
    }

    /// The namespace that it was made in.
    pub fn namespace(&self) -> &Arc<PidNamespace> {
        &self.numbers[self.numbers.len() - 1].0
    }

    /// The thread with this number.
    pub fn thread(&self) -> Option<Arc<Thread>> {
        self.links.lock_irq().thread.upgrade()
    }

    /// The process with this number.
    pub fn process(&self) -> Option<Arc<Process>> {
        self.links.lock_irq().process.upgrade()
    }

    /// The process group with this number.
    pub fn group(&self) -> Option<Arc<ProcessGroup>> {
        self.links.lock_irq().group.upgrade()
    }

    /// The session with this number.
    pub fn session(&self) -> Option<Arc<Session>> {
        self.links.lock_irq().session.upgrade()
    }

    /// Nobody bears it any more as thread or process; groups and sessions may.
    pub fn detach(&self) {
        let mut links = self.links.lock_irq();
        (links.thread, links.process) = (Weak::new(), Weak::new());
    }

    /// Who is told when the process with this number ends.
    pub fn pollee(&self) -> &Pollee {
        &self.pollee
    }

    /// The process with this number has ended.
    pub fn note_end(&self) {
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    /// Says which thread bears it.
    pub fn attach_thread(&self, thread: &Arc<Thread>) {
        self.links.lock_irq().thread = Arc::downgrade(thread);
    }

    /// Says which process bears it.
    pub fn attach_process(&self, process: &Arc<Process>) {
        self.links.lock_irq().process = Arc::downgrade(process);
    }

    /// Says which group bears it.
    pub fn attach_group(&self, group: &Arc<ProcessGroup>) {
        self.links.lock_irq().group = Arc::downgrade(group);
    }

    /// Says which session bears it.
    pub fn attach_session(&self, session: &Arc<Session>) {
        self.links.lock_irq().session = Arc::downgrade(session);
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        for (namespace, number) in &self.numbers {
            namespace.release(*number);
        }
    }
}
