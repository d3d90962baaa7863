//! The only way to touch user memory: readers and writers over a claimed range, checked against user space, with
//! faults served by the kernel's handler and reported as short counts.
//!
//! A user access works on the current task's [`super::VmSpace`]. While preemption or interrupts are off, faults are not served: the access fails.

use super::Vaddr;
use crate::{Error, Result};
use core::marker::PhantomData;

/// Reads from kernel memory or from a range of user memory; advances as it reads.
#[derive(Debug)]
pub struct VmReader<'a> {
    source: Side,
    len: usize,
    _kernel: PhantomData<&'a [u8]>,
}

/// Writes to kernel memory or to a range of user memory; advances as it writes.
#[derive(Debug)]
pub struct VmWriter<'a> {
    target: Side,
    len: usize,
    _kernel: PhantomData<&'a mut [u8]>,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Kernel(Vaddr),
    User(Vaddr),
}

impl<'a> VmReader<'a> {
    /// Over kernel bytes.
    pub fn from_slice(bytes: &'a [u8]) -> Self {
        Self { source: Side::Kernel(bytes.as_ptr() as Vaddr), len: bytes.len(), _kernel: PhantomData }
    }

    /// Over user memory.
    ///
    /// # Errors
    /// [`Error::BadAddress`] unless the range lies in user space.
    pub fn from_user(addr: Vaddr, len: usize) -> Result<VmReader<'static>> {
        check_user(addr, len)?;
        Ok(VmReader { source: Side::User(addr), len, _kernel: PhantomData })
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.len
    }

    /// Shortens what is left to `len` at most.
    pub fn limit(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Copies min(out.len(), remaining) bytes; returns how many came before a fault.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if a fault came before the first byte.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let _ = (out, self.source);
        todo!()
    }

    /// Fills `out` or fails.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn read_exact(&mut self, out: &mut [u8]) -> Result<()> {
        if self.read(out)? == out.len() { Ok(()) } else { Err(Error::BadAddress) }
    }

    /// Moves on by `n` bytes without reading (at most what is left).
    pub fn skip(&mut self, n: usize) {
        let _ = n;
        todo!()
    }
}

impl<'a> VmWriter<'a> {
    /// Over kernel bytes.
    pub fn from_slice(bytes: &'a mut [u8]) -> Self {
        Self { target: Side::Kernel(bytes.as_mut_ptr() as Vaddr), len: bytes.len(), _kernel: PhantomData }
    }

    /// Over user memory.
    ///
    /// # Errors
    /// [`Error::BadAddress`] unless the range lies in user space.
    pub fn from_user(addr: Vaddr, len: usize) -> Result<VmWriter<'static>> {
        check_user(addr, len)?;
        Ok(VmWriter { target: Side::User(addr), len, _kernel: PhantomData })
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.len
    }

    /// Shortens what is left to `len` at most.
    pub fn limit(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Copies min(bytes.len(), remaining) bytes; returns how many went before a fault.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if a fault came before the first byte.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let _ = (bytes, self.target);
        todo!()
    }

    /// Writes all of `bytes` or fails.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        if self.write(bytes)? == bytes.len() { Ok(()) } else { Err(Error::BadAddress) }
    }

    /// Writes up to `len` zero bytes; returns how many went.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if a fault came before the first byte.
    pub fn write_zeros(&mut self, len: usize) -> Result<usize> {
        let _ = len;
        todo!()
    }
}

fn check_user(addr: Vaddr, len: usize) -> Result<()> {
    match addr.checked_add(len) {
        Some(end) if end <= super::USER_END => Ok(()),
        _ => Err(Error::BadAddress),
    }
}

/// Atomically loads a user `u32`; `addr` must be aligned (futex(2)).
///
/// # Errors
/// [`Error::BadAddress`] on a fault, [`Error::InvalidArgument`] if not aligned.
pub fn load_u32(addr: Vaddr) -> Result<u32> {
    let _ = addr;
    todo!()
}

/// Atomically replaces a user `u32` if it is `expected`; returns the value found.
///
/// # Errors
/// As [`load_u32`].
pub fn compare_exchange_u32(addr: Vaddr, expected: u32, new: u32) -> Result<u32> {
    let _ = (addr, expected, new);
    todo!()
}

/// Copies a NUL-terminated string of at most `out.len()` bytes (NUL included); returns its length without the NUL, or `None` if it is longer.
///
/// # Errors
/// [`Error::BadAddress`].
pub fn read_c_string(addr: Vaddr, out: &mut [u8]) -> Result<Option<usize>> {
    let _ = (addr, out);
    todo!()
}

/// A page fault taken by the kernel itself on a user address, inside of a user access.
#[derive(Clone, Copy, Debug)]
pub struct UserFault {
    /// The faulting address.
    pub address: Vaddr,
    /// Whether it was a write.
    pub is_write: bool,
}

/// Registers who serves faults of user accesses: called in the context of the task that made the access, with interrupts on; it may sleep.
/// `true` means that the access is worth a retry. Only the first call counts.
pub fn set_fault_handler(handler: fn(UserFault) -> bool) {
    let _ = handler;
    todo!()
}
