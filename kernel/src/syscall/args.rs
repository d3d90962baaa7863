//! How a register becomes an argument, and a result a register. Arity and casts are checked by the compiler.

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;
use core::marker::PhantomData;
use ostd::mm::{Vaddr, VmReader, VmWriter};
use zerocopy::IntoBytes;

/// A type that an argument register can carry.
pub trait FromReg {
    /// Decodes the register; narrow types take the low bits, as the x86-64 ABI has it.
    fn from_reg(reg: u64) -> Self;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl FromReg for $t {
            fn from_reg(reg: u64) -> Self { reg as $t }
        }
    )*};
}
integers! { u8 u16 u32 u64 usize i32 i64 isize }

/// A file descriptor number as given: `AT_FDCWD` and rubbish included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fd(pub i32);

impl FromReg for Fd {
    fn from_reg(reg: u64) -> Self {
        Self(reg as i32)
    }
}

/// A user's claim that a `T` (or an array of them) is at an address.
#[derive(Debug)]
pub struct UserPtr<T> {
    address: Vaddr,
    _type: PhantomData<T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> FromReg for UserPtr<T> {
    fn from_reg(reg: u64) -> Self {
        Self::new(reg as Vaddr)
    }
}

impl<T> UserPtr<T> {
    /// A claim about `address`.
    pub const fn new(address: Vaddr) -> Self {
        Self { address, _type: PhantomData }
    }

    /// The address claimed.
    pub fn address(self) -> Vaddr {
        self.address
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// `None` for NULL.
    pub fn non_null(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }

    /// The same address as a claim about something else, `bytes` further on.
    pub fn cast_at<U>(self, bytes: usize) -> UserPtr<U> {
        UserPtr::new(self.address.wrapping_add(bytes))
    }

    /// A reader over `len` bytes.
    pub fn reader(self, len: usize) -> Result<VmReader<'static>> {
        Ok(VmReader::from_user(self.address, len)?)
    }

    /// A writer over `len` bytes.
    pub fn writer(self, len: usize) -> Result<VmWriter<'static>> {
        Ok(VmWriter::from_user(self.address, len)?)
    }
}

impl<T: Pod> UserPtr<T> {
    /// Reads the value.
    pub fn read(self) -> Result<T> {
        let mut value = T::new_zeroed();
        self.reader(size_of::<T>())?.read_exact(value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes the value.
    pub fn write(self, value: &T) -> Result<()> {
        Ok(self.writer(size_of::<T>())?.write_all(value.as_bytes())?)
    }

    /// Reads a value that newer programs may make longer, `size` bytes as they say: E2BIG if what is new is not zero. A shorter one than ours
    /// goes on with zeros.
    pub fn read_extensible(self, size: usize) -> Result<T> {
        let own = size.min(size_of::<T>());
        let mut value = T::new_zeroed();
        self.reader(own)?.read_exact(&mut value.as_mut_bytes()[..own])?;
        let newer = self.cast_at::<u8>(own).read_array(size - own)?;
        if newer.iter().any(|&byte| byte != 0) { Err(Errno::E2BIG.into()) } else { Ok(value) }
    }

    /// Writes the value unless the pointer is NULL.
    pub fn write_if_some(self, value: &T) -> Result<()> {
        if self.is_null() { Ok(()) } else { self.write(value) }
    }

    /// Reads `len` values; the memory for them is bounded by the caller.
    pub fn read_array(self, len: usize) -> Result<Vec<T>> {
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOMEM))?;
        values.resize_with(len, T::new_zeroed);
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Error::new(Errno::EFAULT))?;
        self.reader(bytes)?.read_exact(values.as_mut_slice().as_mut_bytes())?;
        Ok(values)
    }

    /// Writes all of `values`.
    pub fn write_array(self, values: &[T]) -> Result<()> {
        Ok(self.writer(size_of_val(values))?.write_all(values.as_bytes())?)
    }
}

/// Plain old data: any bytes are a value, and no padding leaks. Derive it by zerocopy's four traits.
pub trait Pod: zerocopy::FromBytes + IntoBytes + zerocopy::Immutable + zerocopy::KnownLayout + Copy {}

impl<T: zerocopy::FromBytes + IntoBytes + zerocopy::Immutable + zerocopy::KnownLayout + Copy> Pod for T {}

/// A user's claim that a NUL-terminated string is at an address.
#[derive(Clone, Copy, Debug)]
pub struct UserCStr {
    address: Vaddr,
}

impl FromReg for UserCStr {
    fn from_reg(reg: u64) -> Self {
        Self { address: reg as Vaddr }
    }
}

/// Longest path with its NUL (limits.h).
pub const PATH_MAX: usize = 4096;

impl UserCStr {
    /// A claim about `address`.
    pub const fn new(address: Vaddr) -> Self {
        Self { address }
    }

    /// The address claimed.
    pub fn address(self) -> Vaddr {
        self.address
    }

    /// Reads a path: ENAMETOOLONG past `PATH_MAX`.
    pub fn read_path(self) -> Result<Vec<u8>> {
        self.read(PATH_MAX)?.ok_or(Error::new(Errno::ENAMETOOLONG))
    }

    /// Reads a string that with its NUL fits into `max` bytes; `None` if it is longer.
    pub fn read(self, max: usize) -> Result<Option<Vec<u8>>> {
        // Most strings are short: try a small buffer on the stack first.
        let mut short = [0u8; 128];
        let first = max.min(short.len());
        if let Some(len) = ostd::mm::user_io::read_c_string(self.address, &mut short[..first])? {
            return Ok(Some(short[..len].to_vec()));
        }
        if max <= short.len() {
            return Ok(None);
        }
        let mut long = alloc::vec![0u8; max];
        let Some(len) = ostd::mm::user_io::read_c_string(self.address, &mut long)? else { return Ok(None) };
        long.truncate(len);
        Ok(Some(long))
    }
}

/// A type that the result register can carry.
pub trait IntoReg {
    /// Encodes it.
    fn into_reg(self) -> isize;
}

impl IntoReg for () {
    fn into_reg(self) -> isize {
        0
    }
}

impl IntoReg for usize {
    fn into_reg(self) -> isize {
        self as isize
    }
}

impl IntoReg for isize {
    fn into_reg(self) -> isize {
        self
    }
}

impl IntoReg for i32 {
    fn into_reg(self) -> isize {
        self as isize
    }
}

impl IntoReg for u32 {
    fn into_reg(self) -> isize {
        self as isize
    }
}

impl IntoReg for i64 {
    fn into_reg(self) -> isize {
        self as isize
    }
}

impl IntoReg for u64 {
    fn into_reg(self) -> isize {
        self as isize
    }
}

impl IntoReg for Fd {
    fn into_reg(self) -> isize {
        self.0 as isize
    }
}

/// A function that can serve a call: up to six decoded arguments, then the context.
pub trait Handler<Args> {
    /// Decodes and calls.
    fn serve(self, args: &[u64; 6], context: &mut Context<'_>) -> Result<isize>;
}

macro_rules! handlers {
    ($(($($arg:ident $index:literal)*))*) => {$(
        impl<F, R, $($arg,)*> Handler<($($arg,)*)> for F
        where
            F: FnOnce($($arg,)* &mut Context<'_>) -> Result<R>,
            R: IntoReg,
            $($arg: FromReg,)*
        {
            fn serve(self, _args: &[u64; 6], context: &mut Context<'_>) -> Result<isize> {
                self($($arg::from_reg(_args[$index]),)* context).map(IntoReg::into_reg)
            }
        }
    )*};
}
handlers! {
    ()
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 G 5)
}
