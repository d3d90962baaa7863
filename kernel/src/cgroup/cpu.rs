//! CPU time of a group (`cpu.stat`): of its members while they were in it, and of all below.

use super::{Cgroup, HIERARCHY};
use crate::process::times::CpuTimes;

impl Cgroup {
    /// CPU time so far.
    pub fn cpu_times(&self) -> CpuTimes {
        let _hierarchy = HIERARCHY.lock();
        self.sum_cpu_times()
    }

    fn sum_cpu_times(&self) -> CpuTimes {
        let mut sum = self.state.lock().past;
        let mut from = 0;
        while let Some((pid, process)) = self.next_member(from) {
            sum += process.cgroup.cpu_times_here(&process);
            from = pid + 1;
        }
        let mut next = self.next_child(None);
        while let Some((name, child)) = next {
            sum += child.sum_cpu_times();
            next = self.next_child(Some(&name));
        }
        sum
    }
}
