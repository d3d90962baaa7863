//! Interrupts: vectors with their handlers, and guards that keep them off on this CPU.

#[cfg(target_os = "none")]
use crate::cpu;
use crate::cpu::MAX_CPUS;
use crate::sync::SpinLock;
use crate::{Error, Result};
use alloc::sync::Arc;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

/// Keeps interrupts off on this CPU until dropped. Not `Send`.
#[derive(Debug)]
pub struct IrqGuard {
    was_on: bool,
    _not_send: PhantomData<*const ()>,
}

/// Turns interrupts off on this CPU.
pub fn disable_local() -> IrqGuard {
    #[cfg(target_os = "none")]
    let was_on = {
        let was_on = x86_64::instructions::interrupts::are_enabled();
        if was_on {
            x86_64::instructions::interrupts::disable();
        }
        was_on
    };
    #[cfg(not(target_os = "none"))]
    let was_on = false;
    IrqGuard { was_on, _not_send: PhantomData }
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        if self.was_on {
            #[cfg(target_os = "none")]
            x86_64::instructions::interrupts::enable();
        }
    }
}

/// A CPU's count of interrupts, on its own cache line.
#[repr(align(128))]
struct Taken(AtomicU64);

static TAKEN: [Taken; MAX_CPUS] = [const { Taken(AtomicU64::new(0)) }; MAX_CPUS];

/// Whether an interrupt handler is running on this CPU.
pub fn in_interrupt() -> bool {
    #[cfg(target_os = "none")]
    return cpu::local::irq_depth() > 0;
    #[cfg(not(target_os = "none"))]
    false
}

/// Vectors handed out by [`IrqLine::new`]. Below are the exceptions and the legacy controller's, above our own.
const FIRST_LINE: u8 = 0x30;
const LINES: usize = 0xf0 - FIRST_LINE as usize;

/// The local APIC's timer.
pub(crate) const TIMER: u8 = 0xf0;
/// Another CPU asks this one to reconsider what it runs.
pub(crate) const RESCHEDULE: u8 = 0xf1;
/// Another CPU changed page tables that this one uses.
pub(crate) const FLUSH_TLB: u8 = 0xf2;
/// The local APIC's own, without a cause.
pub(crate) const SPURIOUS: u8 = 0xff;

type Handler = Arc<dyn Fn() + Send + Sync>;

static HANDLERS: [SpinLock<Option<Handler>>; LINES] = [const { SpinLock::new(None) }; LINES];

/// An interrupt vector of ours (for MSI and MSI-X), freed when dropped. Dropping waits for a handler that is running, so a line must
/// not be dropped by its own handler.
#[derive(Debug)]
pub struct IrqLine {
    vector: u8,
}

impl IrqLine {
    /// Takes a free vector and registers its handler, which runs in interrupt context with interrupts off: it must not
    /// sleep.
    ///
    /// # Errors
    /// [`crate::Error::NoResource`] if all vectors are taken.
    pub fn new(handler: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let handler: Handler = Arc::new(handler);
        for (vector, slot) in (FIRST_LINE..).zip(&HANDLERS) {
            let mut slot = slot.lock_irq();
            if slot.is_none() {
                *slot = Some(handler);
                return Ok(Self { vector });
            }
        }
        Err(Error::NoResource)
    }

    /// The vector's number.
    pub fn vector(&self) -> u8 {
        self.vector
    }
}

impl Drop for IrqLine {
    fn drop(&mut self) {
        let handler = HANDLERS[usize::from(self.vector - FIRST_LINE)].lock_irq().take();
        if let Some(handler) = handler {
            while Arc::strong_count(&handler) > 1 {
                core::hint::spin_loop();
            }
        }
    }
}

/// Interrupts taken so far, per source, for /proc/interrupts and /proc/stat.
pub fn count_total() -> u64 {
    TAKEN.iter().map(|taken| taken.0.load(Ordering::Relaxed)).sum()
}

/// Runs what belongs to `vector`, on the CPU that took it, with interrupts off, between [`crate::cpu::local::irq_enter`]
/// and [`crate::cpu::local::irq_leave`].
#[cfg(target_os = "none")]
pub(crate) fn dispatch(vector: u8) {
    use crate::arch::apic;

    let taken = &TAKEN[cpu::current_racy().as_usize()].0;
    // Only this CPU writes, so a plain load and store do.
    taken.store(taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // Acknowledged first: all our sources are edges, and a new edge during the handler must not be lost. The APIC's own spurious vector needs no
    // acknowledgment, but a host that sends it as a message of its own makes it one that keeps all others away; and since no other is in service
    // by now, there is none that one too many could take.
    apic::end_of_interrupt();
    match vector {
        TIMER => crate::timer::on_interrupt(),
        RESCHEDULE => crate::task::on_reschedule_ipi(),
        FLUSH_TLB => crate::mm::tlb::on_ipi(),
        _ => run_handler(vector),
    }
}

#[cfg(target_os = "none")]
fn run_handler(vector: u8) {
    let Some(slot) = vector.checked_sub(FIRST_LINE).and_then(|line| HANDLERS.get(usize::from(line))) else {
        return;
    };
    let handler = slot.lock_irq().clone();
    if let Some(handler) = handler {
        handler();
    }
}
