//! Mount options of tmpfs(5): size, nr_blocks, nr_inodes, mode, uid, gid.

use crate::error::{Errno, Error, Result};
use crate::process::credentials::Credentials;
use ostd::mm::PAGE_SIZE;

/// Parsed options.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most pages; `usize::MAX`: no limit.
    pub pages: usize,
    /// Most inodes; `usize::MAX`: no limit.
    pub inodes: usize,
    /// Permissions of the root directory.
    pub permissions: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { pages: usize::MAX, inodes: usize::MAX, permissions: 0o755, uid: 0, gid: 0 }
    }
}

impl Options {
    /// tmpfs's own defaults: half of memory, for pages and inodes each; everybody may write.
    pub fn limited() -> Self {
        let half = ostd::mm::stats().total / 2;
        Self { pages: half, inodes: half, permissions: 0o1777, ..Self::default() }
    }

    /// `defaults` changed by the options given.
    ///
    /// # Errors
    /// EINVAL for an option that is not known or a value that is no number.
    pub fn parse<'a>(
        options: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        defaults: Self,
        mounter: &Credentials,
    ) -> Result<Self> {
        let mut parsed = defaults;
        for (key, value) in options {
            let value = value.unwrap_or_default();
            match key {
                b"size" => parsed.pages = limit(size(value)?.div_ceil(PAGE_SIZE)),
                b"nr_blocks" => parsed.pages = limit(size(value)?),
                b"nr_inodes" => parsed.inodes = limit(size(value)?),
                b"mode" => parsed.permissions = number(value, 8)? as u32 & 0o7777,
                b"uid" => parsed.uid = mounter.kernel_uid(id(value)?)?,
                b"gid" => parsed.gid = mounter.kernel_gid(id(value)?)?,
                // Policies of NUMA nodes and huge pages change nothing that a program can see.
                b"mpol" | b"huge" | b"inode32" | b"inode64" | b"noswap" => {}
                _ => return Err(Error::with(Errno::EINVAL, "tmpfs: unknown mount option")),
            }
        }
        Ok(parsed)
    }
}

/// 0 means no limit.
fn limit(value: usize) -> usize {
    if value == 0 { usize::MAX } else { value }
}

fn id(value: &[u8]) -> Result<u32> {
    u32::try_from(number(value, 10)?).map_err(|_| Errno::EINVAL.into())
}

/// A number with an optional suffix k, m, g or %.
fn size(value: &[u8]) -> Result<usize> {
    let (digits, unit) = match value.last() {
        Some(b'k' | b'K') => (&value[..value.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&value[..value.len() - 1], 1 << 20),
        Some(b'g' | b'G') => (&value[..value.len() - 1], 1 << 30),
        Some(b't' | b'T') => (&value[..value.len() - 1], 1 << 40),
        Some(b'%') => {
            let percent = number(&value[..value.len() - 1], 10)?;
            let pages = ostd::mm::stats().total.checked_mul(percent).ok_or(Errno::EINVAL)? / 100;
            return Ok(pages * PAGE_SIZE);
        }
        _ => (value, 1),
    };
    number(digits, 10)?.checked_mul(unit).ok_or(Errno::EINVAL.into())
}

fn number(digits: &[u8], radix: u32) -> Result<usize> {
    let text = core::str::from_utf8(digits).map_err(|_| Errno::EINVAL)?;
    usize::from_str_radix(text, radix).map_err(|_| Errno::EINVAL.into())
}
