//! How busy the machine is: /proc/loadavg and sysinfo(2).

use super::QUEUES;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::cpu::CpuId;
use ostd::sync::Once;
use ostd::timer::{Timer, now_ns};

/// Fixed point with 16 bits behind the point, as sysinfo(2) gives it.
const ONE: u64 = 1 << 16;
/// Averages over 1, 5 and 15 minutes.
static AVERAGES: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// exp(−5 s / period), in 1/2^16: what is left of the past after each step.
const DECAY: [u64; 3] = [60297, 64453, 65173];
const STEP_NS: u64 = 5_000_000_000;

static TIMER: Once<Arc<Timer>> = Once::new();

/// Begins to sample.
pub(super) fn start() {
    TIMER.call_once(|| Timer::new(sample)).arm(now_ns() + STEP_NS);
}

/// Tasks that run or wait for a CPU.
pub fn runnable() -> usize {
    let Some(queues) = QUEUES.get() else { return 0 };
    let cpus = (0..ostd::cpu::count()).filter_map(CpuId::new);
    cpus.map(|cpu| queues.queues.on(cpu))
        .map(|queue| {
            let _no_interrupts = ostd::irq::disable_local();
            queue.len() + usize::from(queue.is_busy())
        })
        .sum()
}

/// Averages over 1, 5 and 15 minutes, in 1/65536.
pub fn load_average() -> [u64; 3] {
    [0, 1, 2].map(|i: usize| AVERAGES[i].load(Ordering::Relaxed))
}

fn sample() {
    let now = runnable() as u64 * ONE;
    for (average, decay) in AVERAGES.iter().zip(DECAY) {
        let old = average.load(Ordering::Relaxed);
        average.store((old * decay + now * (ONE - decay)) >> 16, Ordering::Relaxed);
    }
    if let Some(timer) = TIMER.get() {
        timer.arm(now_ns() + STEP_NS);
    }
}
