//! What the CPUs have done so far: /proc/stat and /proc/uptime.

use super::QUEUES;
use ostd::cpu::CpuId;

/// Nanoseconds that a CPU has run tasks.
pub fn busy_ns(cpu: CpuId) -> u64 {
    QUEUES.get().map_or(0, |queues| queues.queues.on(cpu).busy_ns())
}

/// How often CPUs took up another task.
pub fn switches() -> u64 {
    let Some(queues) = QUEUES.get() else { return 0 };
    queues.queues.iter().map(super::queue::CpuQueue::switches).sum()
}
