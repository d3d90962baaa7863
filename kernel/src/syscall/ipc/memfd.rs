//! memfd_create(2): <https://man7.org/linux/man-pages/man2/memfd_create.2.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::memfd::{self, Seals};
use crate::syscall::{Fd, UserCStr};

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;

/// The longest name with its NUL (memfd_create(2): 249 bytes without).
const NAME_MAX: usize = 250;

/// memfd_create(2).
pub fn sys_memfd_create(name: UserCStr, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !known != 0 || flags & MFD_NOEXEC_SEAL != 0 && flags & MFD_EXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = name.read(NAME_MAX)?.ok_or(Error::new(Errno::EINVAL))?;
    let (permissions, seals) = if flags & MFD_NOEXEC_SEAL != 0 {
        (0o666, Seals::EXEC)
    } else if flags & MFD_ALLOW_SEALING != 0 {
        (0o777, Seals::empty())
    } else {
        (0o777, Seals::SEAL)
    };
    let file = memfd::create(&name, permissions, seals, &context.process.credentials())?;
    context.install(file, flags & MFD_CLOEXEC != 0)
}
