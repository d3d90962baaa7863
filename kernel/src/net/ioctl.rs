//! ioctl(2) on sockets that is about links (netdevice(7)).

use super::link::flags::IFF_UP;
use super::ns::{self, NetNs};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;

const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
/// Bytes of the name at the start of a `struct ifreq`.
const NAME_LEN: usize = 16;

/// Serves `command`, whose argument is a `struct ifreq`.
///
/// # Errors
/// ENOTTY for a command that it does not know, ENODEV, EPERM, EFAULT.
pub fn link_ioctl(command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    if !matches!(command, SIOCGIFFLAGS | SIOCSIFFLAGS) {
        return Err(Errno::ENOTTY.into());
    }
    let request = UserPtr::<u8>::new(argument);
    let name = request.read_array(NAME_LEN)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = core::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
    let namespace = NetNs::current()?;
    let link = namespace.link_by_name(name).ok_or(Errno::ENODEV)?;
    let flags = request.cast_at::<u16>(NAME_LEN);
    if command == SIOCGIFFLAGS {
        flags.write(&(link.flags() as u16))?;
        return Ok(0);
    }
    if !context.process.credentials().has(Capability::NetAdmin) {
        return Err(Errno::EPERM.into());
    }
    let wanted = u32::from(flags.read()?);
    namespace.set_link_flags(&ns::configure(), &link, wanted, IFF_UP);
    Ok(0)
}
