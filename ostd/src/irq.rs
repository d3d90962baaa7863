//! Interrupts: vectors with their handlers, and guards that keep them off on this CPU.

use crate::Result;

/// Keeps interrupts off on this CPU until dropped. Not `Send`.
#[derive(Debug)]
pub struct IrqGuard {
    _was_on: bool,
    _not_send: core::marker::PhantomData<*const ()>,
}

/// Turns interrupts off on this CPU.
pub fn disable_local() -> IrqGuard {
    todo!()
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
