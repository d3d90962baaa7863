//! Time: the calibrated TSC as a monotonic clock, the RTC's wall time at boot, and one-shot timers on each CPU's
//! queue, driven by the local APIC.
//!
//! A timer's state lock comes before its queue's lock. On expiry the queue is popped first and the state looked at
//! afterwards, without the queue's lock: whoever cancelled or re-armed in between left another state, and then nothing fires.

use crate::cpu::{self, MAX_CPUS};
use crate::irq;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

static TSC_BASE: AtomicU64 = AtomicU64::new(0);
static TSC_MULT: AtomicU32 = AtomicU32::new(0);
static TSC_SHIFT: AtomicU32 = AtomicU32::new(0);
static BOOT_WALL_NS: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since boot, monotonic across CPUs.
#[inline]
pub fn now_ns() -> u64 {
    tsc_scale().to_ns(read_tsc())
}

/// Wall-clock time (nanoseconds since the Unix epoch) at the moment when [`now_ns`] was zero.
pub fn boot_wall_ns() -> u64 {
    BOOT_WALL_NS.load(Ordering::Relaxed)
}

/// How to turn a TSC value into [`now_ns`]: `((tsc - base) as u128 * mult) >> shift`, for the vDSO.
#[derive(Clone, Copy, Debug)]
pub struct TscScale {
    /// TSC at time zero.
    pub base: u64,
    /// Multiplier.
    pub mult: u32,
    /// Shift, less than 64.
    pub shift: u32,
}

impl TscScale {
    /// The scale for a TSC of `hz` that reads `base` at time zero, with the largest multiplier that fits.
    #[cfg(any(target_os = "none", test))]
    pub(crate) fn new(base: u64, hz: u64) -> Self {
        let mult_at = |shift: u32| (1_000_000_000_u128 << shift) / u128::from(hz.max(1));
        let shift = (0..=32).rev().find(|shift| mult_at(*shift) <= u128::from(u32::MAX)).unwrap_or(0);
        Self { base, mult: mult_at(shift) as u32, shift }
    }

    #[inline]
    fn to_ns(self, tsc: u64) -> u64 {
        // A CPU whose TSC is a little behind the boot CPU's must not see a time before zero.
        ((u128::from(tsc.saturating_sub(self.base)) * u128::from(self.mult)) >> self.shift) as u64
    }
}

/// The scale in use; it never changes.
#[inline]
pub fn tsc_scale() -> TscScale {
    TscScale {
        base: TSC_BASE.load(Ordering::Relaxed),
        mult: TSC_MULT.load(Ordering::Relaxed),
        shift: TSC_SHIFT.load(Ordering::Relaxed),
    }
}

#[cfg(target_os = "none")]
use crate::arch::time::tsc as read_tsc;
/// The host's tests have no clock: time stands still.
#[cfg(not(target_os = "none"))]
fn read_tsc() -> u64 {
    0
}

type Callback = Box<dyn Fn() + Send + Sync>;

/// A one-shot timer. Its callback runs in interrupt context: it must not sleep.
pub struct Timer {
    callback: Callback,
    state: SpinLock<Option<Armed>>,
}

/// Where an armed timer waits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Armed {
    cpu: usize,
    key: Key,
}

/// Order in a queue: by deadline, then by who came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    deadline_ns: u64,
    sequence: u64,
}

impl core::fmt::Debug for Timer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Timer")
    }
}

impl Timer {
    /// A timer that is not armed.
    pub fn new(callback: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { callback: Box::new(callback), state: SpinLock::new(None) })
    }

    /// Arms it for `deadline_ns` (see [`now_ns`]); replaces an earlier deadline. A deadline in the past fires at once.
    pub fn arm(self: &Arc<Self>, deadline_ns: u64) {
        let mut state = self.state.lock_irq();
        if let Some(old) = state.take() {
            LOCAL[old.cpu].queue.lock_irq().waiting.remove(&old.key);
        }
        // The state's guard keeps us on this CPU.
        let cpu = cpu::current_racy().as_usize();
        let key = LOCAL[cpu].queue.lock_irq().insert(deadline_ns, Arc::clone(self));
        *state = Some(Armed { cpu, key });
        LOCAL[cpu].wake_by(deadline_ns);
    }

    /// Disarms it. The callback may still be running on another CPU when this returns. Returns whether it was armed.
    pub fn cancel(&self) -> bool {
        let mut state = self.state.lock_irq();
        let Some(armed) = state.take() else { return false };
        // Its interrupt stays armed: it finds nothing to do, which is cheaper than programming the APIC here.
        let waiting = LOCAL[armed.cpu].queue.lock_irq().waiting.remove(&armed.key);
        drop(state);
        drop(waiting);
        true
    }

    /// The deadline, if armed.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.state.lock_irq().map(|armed| armed.key.deadline_ns)
    }

    /// Runs the callback, if the timer is still armed as it was when `key` was taken out of `cpu`'s queue.
    fn expire(&self, cpu: usize, key: Key) {
        let mut state = self.state.lock_irq();
        if *state == Some(Armed { cpu, key }) {
            *state = None;
            drop(state);
            (self.callback)();
        }
    }
}

struct Queue {
    waiting: BTreeMap<Key, Arc<Timer>>,
    next_sequence: u64,
}

impl Queue {
    fn insert(&mut self, deadline_ns: u64, timer: Arc<Timer>) -> Key {
        let key = Key { deadline_ns, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.waiting.insert(key, timer);
        key
    }

    /// Takes out the first timer that is due at `now_ns` and was there before `limit`: one that its own callback arms again and
    /// again in the past must not hold the CPU.
    fn pop_due(&mut self, now_ns: u64, limit: u64) -> Option<(Key, Arc<Timer>)> {
        let (key, _) = self.waiting.first_key_value()?;
        (key.deadline_ns <= now_ns && key.sequence < limit).then(|| self.waiting.pop_first())?
    }
}

const NEVER: u64 = u64::MAX;

/// One CPU's timers, on their own cache lines.
#[repr(align(128))]
struct Local {
    queue: SpinLock<Queue>,
    /// The scheduler's deadline on this CPU.
    tick_ns: AtomicU64,
    /// What the hardware is armed for. Only this CPU looks.
    armed_ns: AtomicU64,
}

static LOCAL: [Local; MAX_CPUS] = [const {
    Local {
        queue: SpinLock::new(Queue { waiting: BTreeMap::new(), next_sequence: 0 }),
        tick_ns: AtomicU64::new(NEVER),
        armed_ns: AtomicU64::new(NEVER),
    }
}; MAX_CPUS];

impl Local {
    /// Makes sure that this CPU's timer fires no later than `deadline_ns`. Interrupts are off.
    fn wake_by(&self, deadline_ns: u64) {
        if deadline_ns < self.armed_ns.load(Ordering::Relaxed) {
            self.armed_ns.store(deadline_ns, Ordering::Relaxed);
            #[cfg(target_os = "none")]
            hardware::arm(deadline_ns);
        }
    }
}

/// Asks for [`crate::task`]'s tick on this CPU at `deadline_ns`, or takes the request back. It fires once.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "the machine's half calls it"))]
pub(crate) fn set_tick(deadline_ns: Option<u64>) {
    let _irq = irq::disable_local();
    let local = &LOCAL[cpu::current_racy().as_usize()];
    let deadline_ns = deadline_ns.unwrap_or(NEVER);
    local.tick_ns.store(deadline_ns, Ordering::Relaxed);
    local.wake_by(deadline_ns);
}

/// Serves this CPU's timer interrupt.
#[cfg(target_os = "none")]
pub(crate) fn on_interrupt() {
    let cpu = cpu::current_racy().as_usize();
    let local = &LOCAL[cpu];
    local.armed_ns.store(NEVER, Ordering::Relaxed);
    let now_ns = now_ns();
    let limit = local.queue.lock_irq().next_sequence;
    loop {
        let due = local.queue.lock_irq().pop_due(now_ns, limit);
        let Some((key, timer)) = due else { break };
        timer.expire(cpu, key);
    }
    if local.tick_ns.load(Ordering::Relaxed) <= now_ns {
        local.tick_ns.store(NEVER, Ordering::Relaxed);
        crate::task::on_tick();
    }
    let next = local.queue.lock_irq().waiting.first_key_value().map_or(NEVER, |(key, _)| key.deadline_ns);
    local.wake_by(next.min(local.tick_ns.load(Ordering::Relaxed)));
}

#[cfg(target_os = "none")]
pub(crate) use hardware::{init, init_local};

/// The APIC timer: deadlines in nanoseconds become TSC values or tick counts.
#[cfg(target_os = "none")]
mod hardware {
    use super::{BOOT_WALL_NS, TSC_BASE, TSC_MULT, TSC_SHIFT, TscScale, now_ns, read_tsc};
    use crate::acpi::Platform;
    use crate::arch::{apic, time};
    use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    static HAS_DEADLINE: AtomicBool = AtomicBool::new(false);
    /// Ticks of the timer (or the TSC) per nanosecond, in 2^-32.
    static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
    pub(crate) static TSC_HZ: AtomicU64 = AtomicU64::new(0);

    /// The farthest that we look ahead: both counters hold it, and waking up for nothing that seldom costs nothing.
    const MAX_AHEAD_NS: u64 = 500_000_000;

    /// Finds out how fast time runs; `boot_tsc` becomes time zero.
    pub(crate) fn init(platform: &Platform, boot_tsc: u64) -> Result<(), &'static str> {
        let frequencies = time::calibrate::run(platform)?;
        let scale = TscScale::new(boot_tsc, frequencies.tsc);
        TSC_BASE.store(scale.base, Ordering::Relaxed);
        TSC_SHIFT.store(scale.shift, Ordering::Relaxed);
        TSC_MULT.store(scale.mult, Ordering::Relaxed);
        TSC_HZ.store(frequencies.tsc, Ordering::Relaxed);

        let has_deadline = frequencies.apic_timer == 0;
        let hz = if has_deadline { frequencies.tsc } else { frequencies.apic_timer };
        HAS_DEADLINE.store(has_deadline, Ordering::Relaxed);
        TICKS_PER_NS.store(((u128::from(hz) << 32) / 1_000_000_000) as u64, Ordering::Relaxed);

        let century = platform.fadt.map_or(0, |fadt| fadt.century);
        let seconds = time::rtc::read_seconds(century).unwrap_or(0);
        BOOT_WALL_NS.store((seconds * 1_000_000_000).saturating_sub(now_ns()), Ordering::Relaxed);
        init_local();
        Ok(())
    }

    /// Sets this CPU's timer up.
    pub(crate) fn init_local() {
        apic::enable_timer(HAS_DEADLINE.load(Ordering::Relaxed));
    }

    /// Lets the timer fire at `deadline_ns`, or before if that is far away: then the interrupt finds nothing due and comes back.
    pub(super) fn arm(deadline_ns: u64) {
        let ahead_ns = deadline_ns.saturating_sub(now_ns()).min(MAX_AHEAD_NS);
        let ticks =
            ((u128::from(ahead_ns) * u128::from(TICKS_PER_NS.load(Ordering::Relaxed))) >> 32) as u64 + 1;
        if HAS_DEADLINE.load(Ordering::Relaxed) {
            apic::set_timer_deadline(read_tsc() + ticks);
        } else {
            apic::set_timer_count(u32::try_from(ticks).unwrap_or(u32::MAX));
        }
    }
}

/// The TSC's frequency in Hz.
pub(crate) fn tsc_hz() -> u64 {
    #[cfg(target_os = "none")]
    return hardware::TSC_HZ.load(Ordering::Relaxed);
    #[cfg(not(target_os = "none"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_exact_to_a_part_in_a_billion() {
        for hz in [100_000_000, 999_999_999, 1_000_000_000, 1_000_000_001, 2_904_000_000, 5_000_000_000_u64] {
            let scale = TscScale::new(1000, hz);
            let day = hz * 86_400;
            let ns = scale.to_ns(1000 + day);
            let exact = 86_400_000_000_000_u64;
            assert!(ns.abs_diff(exact) < exact / 1_000_000_000 + 1, "{hz} Hz: {ns}");
        }
    }

    #[test]
    fn a_tsc_before_the_base_is_time_zero() {
        assert_eq!(TscScale::new(1000, 2_000_000_000).to_ns(900), 0);
    }
}
