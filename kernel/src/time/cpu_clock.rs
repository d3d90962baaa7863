//! Clocks that count the CPU time of a process or a thread (clock_getcpuclockid(3), pthread_getcpuclockid(3)).

use crate::error::{Errno, Result};
use crate::process::{Process, table};
use crate::thread::Thread;
use alloc::sync::Arc;

/// Whose CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuClock {
    /// Global pid or tid; 0: the caller's own.
    id: u32,
    is_thread: bool,
    what: What,
}

/// Which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// In user mode and in the kernel.
    Both,
    User,
}

impl CpuClock {
    /// The caller's own: of its thread or of its process.
    pub const fn own(is_thread: bool) -> Self {
        Self { id: 0, is_thread, what: What::Both }
    }

    /// That of process `pid`, in user mode only or altogether.
    pub const fn of_process(pid: u32, only_user: bool) -> Self {
        Self { id: pid, is_thread: false, what: if only_user { What::User } else { What::Both } }
    }

    /// From a negative clock id: the complement of the pid or tid (a number of the caller's namespace), shifted by three, then a bit for
    /// threads and two for what is counted.
    pub fn from_id(id: i32) -> Option<Self> {
        let what = match id & 3 {
            0 | 2 => What::Both,
            1 => What::User,
            _ => return None,
        };
        let (number, is_thread) = (!(id >> 3) as u32, id & 4 != 0);
        let id = match number {
            0 => 0,
            _ => Thread::current()?.process().pid_namespace().find(number)?.global(),
        };
        Some(Self { id, is_thread, what })
    }

    /// The same clock for whoever reads it.
    pub fn resolve(self, reader: &Thread) -> Self {
        match (self.id, self.is_thread) {
            (0, true) => Self { id: reader.tid(), ..self },
            (0, false) => Self { id: reader.process().pid(), ..self },
            _ => self,
        }
    }

    fn process(self) -> Result<Arc<Process>> {
        match self.id {
            0 => Thread::current().map(|thread| thread.process().clone()),
            pid => table::find_process(pid),
        }
        .ok_or(Errno::EINVAL.into())
    }

    fn thread(self) -> Result<Arc<Thread>> {
        match self.id {
            0 => Thread::current(),
            tid => table::find_thread(tid),
        }
        .ok_or(Errno::EINVAL.into())
    }

    /// CPU time so far, in nanoseconds.
    ///
    /// # Errors
    /// EINVAL if there is no such process or thread.
    pub fn now(self) -> Result<u64> {
        let times = if self.is_thread { self.thread()?.cpu_times() } else { self.process()?.cpu_times() };
        Ok(match self.what {
            What::Both => times.user_ns + times.system_ns,
            What::User => times.user_ns,
        })
    }
}
