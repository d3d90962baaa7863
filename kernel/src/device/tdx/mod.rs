//! The trust domain that this machine may be, for programs: /dev/tdx_guest (Linux's Documentation/virt/coco/tdx-guest.rst), quotes ([`quote`]) and
//! measurement registers ([`registers`]). On any other machine there is nothing of this.

pub mod quote;
pub mod registers;

use super::registry;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::syscall::UserPtr;
use alloc::sync::Arc;
use ostd::tdx::{REPORT_DATA_LEN, REPORT_LEN};

/// The number of devices that have none of their own (Linux: misc), and one of those that Linux gives out as they come.
const MAJOR: u32 = 10;
const MINOR: u32 = 126;
/// TDX_CMD_GET_REPORT0: _IOWR('T', 1, struct tdx_report_req), which is REPORTDATA and then the report.
const GET_REPORT0: u32 = 0xc440_5401;

#[derive(Debug)]
struct Guest;

/// Registers the device, and says in the log what the machine found itself to be.
///
/// # Errors
/// EEXIST if its number is taken.
pub fn register() -> Result<()> {
    let Some(domain) = ostd::tdx::info() else {
        log::info!("platform: a plain machine");
        return Ok(());
    };
    log::info!(
        "platform: an Intel TDX trust domain, attributes {:#x}, {} MiB accepted by the kernel, {} MiB not yet",
        domain.attributes,
        domain.accepted >> 20,
        domain.unaccepted >> 20
    );
    quote::init();
    registry::register_char_with(MAJOR, MINOR, "tdx_guest", 0o600, |_, _, _| Ok(Arc::new(Guest)))
}

/// What ostd says of the module.
fn errno(error: ostd::Error) -> Errno {
    match error {
        ostd::Error::NoMemory => Errno::ENOMEM,
        ostd::Error::InvalidArgument => Errno::EINVAL,
        ostd::Error::NoResource => Errno::ENODEV,
        _ => Errno::EIO,
    }
}

impl FileOps for Guest {
    fn seek(&self, _: &OpenFile, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }

    fn ioctl(&self, _: &OpenFile, command: u32, argument: usize, _: &mut Context<'_>) -> Result<isize> {
        if command != GET_REPORT0 {
            return Err(Errno::ENOTTY.into());
        }
        let request = UserPtr::<[u8; REPORT_DATA_LEN]>::new(argument);
        let report = ostd::tdx::report(&request.read()?).map_err(errno)?;
        request.cast_at::<[u8; REPORT_LEN]>(REPORT_DATA_LEN).write(&report)?;
        Ok(0)
    }
}
