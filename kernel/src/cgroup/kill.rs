//! `cgroup.kill`: SIGKILL to all in a group and below.

use super::{Cgroup, HIERARCHY};
use crate::signal::{SigInfo, Signal, send};

impl Cgroup {
    /// Kills them. Who forks meanwhile has either made a child that is seen here, or sees its own end coming before it makes one.
    pub fn kill(&self) {
        let _hierarchy = HIERARCHY.lock();
        self.kill_all();
    }

    fn kill_all(&self) {
        let mut from = 0;
        while let Some((pid, process)) = self.next_member(from) {
            // SIGKILL is never refused.
            let _ = send::to_process(&process, SigInfo::kernel(Signal::KILL));
            from = pid + 1;
        }
        let mut next = self.next_child(None);
        while let Some((name, child)) = next {
            child.kill_all();
            next = self.next_child(Some(&name));
        }
    }
}
