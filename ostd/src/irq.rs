//! Interrupts: vectors with their handlers, and guards that keep them off on this CPU.

use crate::Result;

/// Keeps interrupts off on this CPU until dropped. Not `Send`.
#[derive(Debug)]
pub struct IrqGuard {
    was_on: bool,
    _not_send: core::marker::PhantomData<*const ()>,
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
    IrqGuard { was_on, _not_send: core::marker::PhantomData }
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        #[cfg(target_os = "none")]
        if self.was_on {
            x86_64::instructions::interrupts::enable();
        }
        #[cfg(not(target_os = "none"))]
        let _ = self.was_on;
    }
}

/// Whether an interrupt handler is running on this CPU.
pub fn in_interrupt() -> bool {
    todo!()
}

/// An interrupt vector of ours (for MSI and MSI-X), freed when dropped.
#[derive(Debug)]
pub struct IrqLine {
    _vector: u8,
}

impl IrqLine {
    /// Takes a free vector and registers its handler, which runs in interrupt context with interrupts off: it must not
    /// sleep.
    ///
    /// # Errors
    /// [`crate::Error::NoResource`] if all vectors are taken.
    pub fn new(handler: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let _ = handler;
        todo!()
    }

    /// The vector's number.
    pub fn vector(&self) -> u8 {
        todo!()
    }
}

/// Interrupts taken so far, per source, for /proc/interrupts and /proc/stat.
pub fn count_total() -> u64 {
    todo!()
}
