//! The only way to touch user memory: readers and writers over a claimed range, checked against user space, with
//! faults served by the kernel's handler and reported as short counts.
//!
//! A user access works on the current task's [`super::VmSpace`]; without one it fails. While preemption or interrupts are off, faults
//! are not served: the access fails. The machine's half (assembly with an exception table) is in `arch`, what happens on a fault in `fault`.

mod fault;

use alloc::vec::Vec;
use core::marker::PhantomData;

#[cfg(target_os = "none")]
pub(crate) use self::fault::handle_kernel_fault;
pub use self::fault::{UserFault, set_fault_handler};
use super::Vaddr;
use super::machine::{self, StringEnd};
use crate::{Error, Result};

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
        Self {
            source: Side::Kernel(bytes.as_ptr().expose_provenance()),
            len: bytes.len(),
            _kernel: PhantomData,
        }
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
        // SAFETY: `out` is exclusively ours.
        unsafe { self.read_untyped(out.as_mut_ptr(), out.len()) }
    }

    /// As [`Self::read`], to memory that others may be using as well.
    ///
    /// # Safety
    /// `to` has `len` bytes that nobody relies on.
    pub(super) unsafe fn read_untyped(&mut self, to: *mut u8, len: usize) -> Result<usize> {
        let len = len.min(self.len);
        let copied = match self.source {
            Side::Kernel(from) => {
                // SAFETY: the reader borrows at least `len` bytes from here on, so `to` does not overlap them.
                unsafe { machine::copy_untyped(to, core::ptr::with_exposed_provenance(from), len) };
                len
            }
            // SAFETY: the range lies in user space (checked in `from_user`), `to` has `len` bytes.
            Side::User(from) => user_access(len, || unsafe {
                machine::copy_user(to, core::ptr::with_exposed_provenance(from), len)
            })?,
        };
        self.advance(copied);
        Ok(copied)
    }

    /// Appends min(len, remaining) bytes to `out`, which need not be filled with anything first; returns how many came before a fault.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::BadAddress`] if a fault came before the first byte.
    pub fn append_to(&mut self, out: &mut Vec<u8>, len: usize) -> Result<usize> {
        let len = len.min(self.len);
        out.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
        let room = out.spare_capacity_mut();
        // SAFETY: the room is exclusively ours and has at least `len` bytes.
        let read = unsafe { self.read_untyped(room.as_mut_ptr().cast(), len) }?;
        let filled = out.len() + read;
        // SAFETY: there is capacity for `len` more, and the first `read` of them were just written.
        unsafe { out.set_len(filled) };
        Ok(read)
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
        self.advance(n.min(self.len));
    }

    fn advance(&mut self, n: usize) {
        self.source = self.source.advanced(n);
        self.len -= n;
    }
}

impl<'a> VmWriter<'a> {
    /// Over kernel bytes.
    pub fn from_slice(bytes: &'a mut [u8]) -> Self {
        Self {
            target: Side::Kernel(bytes.as_mut_ptr().expose_provenance()),
            len: bytes.len(),
            _kernel: PhantomData,
        }
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
        // SAFETY: `bytes` is borrowed.
        unsafe { self.write_untyped(bytes.as_ptr(), bytes.len()) }
    }

    /// As [`Self::write`], from memory that others may be changing.
    ///
    /// # Safety
    /// `from` has `len` bytes.
    pub(super) unsafe fn write_untyped(&mut self, from: *const u8, len: usize) -> Result<usize> {
        let len = len.min(self.len);
        let copied = match self.target {
            Side::Kernel(to) => {
                // SAFETY: the writer borrows at least `len` bytes exclusively, so `from` does not overlap them.
                unsafe { machine::copy_untyped(core::ptr::with_exposed_provenance_mut(to), from, len) };
                len
            }
            // SAFETY: the range lies in user space (checked in `from_user`), `from` has `len` bytes.
            Side::User(to) => user_access(len, || unsafe {
                machine::copy_user(core::ptr::with_exposed_provenance_mut(to), from, len)
            })?,
        };
        self.advance(copied);
        Ok(copied)
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
        let len = len.min(self.len);
        let zeroed = match self.target {
            Side::Kernel(to) => {
                // SAFETY: the writer borrows at least `len` bytes exclusively.
                unsafe { machine::zero_untyped(core::ptr::with_exposed_provenance_mut(to), len) };
                len
            }
            // SAFETY: the range lies in user space (checked in `from_user`).
            Side::User(to) => user_access(len, || unsafe {
                machine::zero_user(core::ptr::with_exposed_provenance_mut(to), len)
            })?,
        };
        self.advance(zeroed);
        Ok(zeroed)
    }

    fn advance(&mut self, n: usize) {
        self.target = self.target.advanced(n);
        self.len -= n;
    }
}

impl Side {
    fn advanced(self, n: usize) -> Self {
        match self {
            Self::Kernel(addr) => Self::Kernel(addr + n),
            Self::User(addr) => Self::User(addr + n),
        }
    }
}

/// Runs an access to `len` bytes of user memory that tells how many were left at a fault; gives how many went.
#[inline]
fn user_access(len: usize, access: impl FnOnce() -> usize) -> Result<usize> {
    if len == 0 {
        return Ok(0);
    }
    // A kernel task may run on whatever space was loaded last: its stale translations are not flushed.
    if !machine::has_user_space() {
        return Err(Error::BadAddress);
    }
    match len - access() {
        0 => Err(Error::BadAddress),
        done => Ok(done),
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
    check_word(addr)?;
    // SAFETY: the word lies in user space and is aligned (checked).
    unsafe { machine::load_user_u32(core::ptr::with_exposed_provenance(addr)) }.ok_or(Error::BadAddress)
}

/// Atomically replaces a user `u32` if it is `expected`; returns the value found.
///
/// # Errors
/// As [`load_u32`].
pub fn compare_exchange_u32(addr: Vaddr, expected: u32, new: u32) -> Result<u32> {
    check_word(addr)?;
    // SAFETY: the word lies in user space and is aligned (checked).
    unsafe { machine::compare_exchange_user_u32(core::ptr::with_exposed_provenance_mut(addr), expected, new) }
        .ok_or(Error::BadAddress)
}

fn check_word(addr: Vaddr) -> Result<()> {
    if !addr.is_multiple_of(4) {
        return Err(Error::InvalidArgument);
    }
    check_user(addr, 4)?;
    if machine::has_user_space() { Ok(()) } else { Err(Error::BadAddress) }
}

/// Copies a NUL-terminated string of at most `out.len()` bytes (NUL included); returns its length without the NUL, or `None` if it is longer.
/// What follows the NUL in `out` is undefined.
///
/// # Errors
/// [`Error::BadAddress`].
pub fn read_c_string(addr: Vaddr, out: &mut [u8]) -> Result<Option<usize>> {
    check_user(addr, 1)?;
    if !machine::has_user_space() {
        return Err(Error::BadAddress);
    }
    // A string that runs into the end of user space ends there with a fault.
    let room = out.len().min(super::USER_END - addr);
    // SAFETY: `out` has `room` bytes, and as many at `addr` lie in user space.
    let (len, end) = unsafe {
        machine::copy_user_string(out.as_mut_ptr(), core::ptr::with_exposed_provenance(addr), room)
    };
    match end {
        StringEnd::Nul => Ok(Some(len)),
        StringEnd::Full if room == out.len() => Ok(None),
        StringEnd::Full | StringEnd::Fault => Err(Error::BadAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::{VmReader, VmWriter, check_user};
    use crate::Error;
    use crate::mm::USER_END;
    use alloc::vec;

    #[test]
    fn kernel_slices_are_read_and_written_in_pieces() {
        let mut reader = VmReader::from_slice(b"hello, world");
        let mut piece = [0; 5];
        assert_eq!(reader.read(&mut piece), Ok(5));
        reader.skip(2);
        reader.limit(3);
        let mut rest = [0; 8];
        assert_eq!(reader.read(&mut rest), Ok(3));
        assert_eq!((&piece, &rest[..3], reader.remaining()), (b"hello", &b"wor"[..], 0));

        let mut reader = VmReader::from_slice(b"1234");
        let mut appended = vec![0];
        assert_eq!((reader.append_to(&mut appended, 3), reader.append_to(&mut appended, 3)), (Ok(3), Ok(1)));
        assert_eq!(appended, b"\x001234");

        let mut bytes = [9; 6];
        let mut writer = VmWriter::from_slice(&mut bytes);
        assert_eq!(writer.write(b"ab"), Ok(2));
        assert_eq!(writer.write_zeros(2), Ok(2));
        assert_eq!(writer.write_all(b"xyz"), Err(Error::BadAddress));
        assert_eq!(&bytes, b"ab\0\0xy");
    }

    #[test]
    fn ranges_outside_of_user_space_are_refused() {
        assert!(check_user(USER_END - 1, 1).is_ok());
        assert_eq!(check_user(USER_END, 1), Err(Error::BadAddress));
        assert_eq!(check_user(usize::MAX, 2), Err(Error::BadAddress));
        assert_eq!(check_user(0xffff_8000_0000_0000, 0), Err(Error::BadAddress));
    }
}
