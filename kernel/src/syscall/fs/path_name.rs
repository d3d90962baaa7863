//! A path argument: short ones stay on the stack, for most calls on files have one and the heap is not free.

use crate::error::{Errno, Result};
use crate::syscall::UserCStr;
use alloc::vec::Vec;
use core::ops::Deref;
use ostd::mm::user_io;

const SHORT: usize = 128;
/// Longest path with its NUL (limits.h).
const PATH_MAX: usize = 4096;

/// A path, read from user memory.
#[derive(Debug)]
pub enum PathName {
    /// In place.
    Short([u8; SHORT], usize),
    /// On the heap.
    Long(Vec<u8>),
}

impl PathName {
    /// Reads it.
    ///
    /// # Errors
    /// EFAULT, ENAMETOOLONG.
    pub fn read(path: UserCStr) -> Result<Self> {
        let mut short = [0; SHORT];
        if let Some(len) = user_io::read_c_string(path.address(), &mut short)? {
            return Ok(Self::Short(short, len));
        }
        let mut long = alloc::vec![0; PATH_MAX];
        let len = user_io::read_c_string(path.address(), &mut long)?.ok_or(Errno::ENAMETOOLONG)?;
        long.truncate(len);
        Ok(Self::Long(long))
    }
}

impl Deref for PathName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => &bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}
