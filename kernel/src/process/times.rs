//! CPU time of a process: of threads that have ended, and of children that were waited for (getrusage(2), times(2)).

use core::ops::AddAssign;
use ostd::sync::SpinLock;

/// CPU time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In ring 3.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
}

impl AddAssign for CpuTimes {
    fn add_assign(&mut self, other: Self) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
    }
}

impl CpuTimes {
    /// What has been spent since it was `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(before.user_ns),
            system_ns: self.system_ns.saturating_sub(before.system_ns),
        }
    }
}

/// What is kept when threads and children are gone.
#[derive(Debug)]
pub struct Times {
    sums: SpinLock<Sums>,
    started_ns: u64,
}

#[derive(Debug, Default)]
struct Sums {
    ended_threads: CpuTimes,
    children: CpuTimes,
    peak_resident_pages: usize,
    children_peak_resident_pages: usize,
    faults: (u64, u64),
    children_faults: (u64, u64),
}

impl Default for Times {
    fn default() -> Self {
        Self { sums: SpinLock::default(), started_ns: ostd::timer::now_ns() }
    }
}

impl Times {
    /// When the process was made ([`ostd::timer::now_ns`]).
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// The sum over threads that have ended.
    pub fn ended_threads(&self) -> CpuTimes {
        self.sums.lock_irq().ended_threads
    }

    /// The sum over children that were waited for, and theirs.
    pub fn children(&self) -> CpuTimes {
        self.sums.lock_irq().children
    }

    /// Most resident pages, (own at the end, of any child).
    pub fn peak_resident_pages(&self) -> (usize, usize) {
        let sums = self.sums.lock_irq();
        (sums.peak_resident_pages, sums.children_peak_resident_pages)
    }

    /// Faults (without I/O, with I/O): (own at the end, of children).
    pub fn faults(&self) -> ((u64, u64), (u64, u64)) {
        let sums = self.sums.lock_irq();
        (sums.faults, sums.children_faults)
    }

    /// A thread ends.
    pub fn add_thread(&self, times: CpuTimes) {
        self.sums.lock_irq().ended_threads += times;
    }

    /// The address space goes: what it had used.
    pub fn keep_memory_use(&self, peak_resident_pages: usize, faults: (u64, u64)) {
        let mut sums = self.sums.lock_irq();
        sums.peak_resident_pages = sums.peak_resident_pages.max(peak_resident_pages);
        sums.faults = (sums.faults.0 + faults.0, sums.faults.1 + faults.1);
    }

    /// A child that has ended was waited for.
    pub fn add_child(&self, child: &Self) {
        let (own, children, peaks, faults) = {
            let sums = child.sums.lock_irq();
            let faults = (sums.faults.0 + sums.children_faults.0, sums.faults.1 + sums.children_faults.1);
            let peak = sums.peak_resident_pages.max(sums.children_peak_resident_pages);
            (sums.ended_threads, sums.children, peak, faults)
        };
        let mut sums = self.sums.lock_irq();
        sums.children += own;
        sums.children += children;
        sums.children_peak_resident_pages = sums.children_peak_resident_pages.max(peaks);
        sums.children_faults = (sums.children_faults.0 + faults.0, sums.children_faults.1 + faults.1);
    }
}
