//! ioctl(2): what all files answer; the rest goes to the file.

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::{O_ASYNC, O_NONBLOCK};
use crate::fs::vfs::inode::FileType;
use crate::syscall::{Fd, UserPtr};

const FIGETBSZ: u32 = 2;
const FIONBIO: u32 = 0x5421;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIOASYNC: u32 = 0x5452;
const FIOQSIZE: u32 = 0x5460;
const FIONREAD: u32 = 0x541b;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;

/// ioctl(2).
pub fn sys_ioctl(fd: Fd, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    let file = context.process.fds().get_io(fd)?;
    match command {
        FIOCLEX => context.process.fds().set_close_on_exec(fd, true)?,
        FIONCLEX => context.process.fds().set_close_on_exec(fd, false)?,
        FIONBIO | FIOASYNC => {
            let is_on = UserPtr::<i32>::new(argument).read()? != 0;
            let flag = if command == FIONBIO { O_NONBLOCK } else { O_ASYNC };
            file.set_flags(flag, if is_on { flag } else { 0 });
        }
        FIGETBSZ => {
            let block_size = file.inode()?.metadata().block_size;
            UserPtr::<i32>::new(argument).write(&(block_size as i32))?;
        }
        FIOQSIZE if file.inode()?.access().file_type == FileType::Regular => {
            UserPtr::<i64>::new(argument).write(&(file.inode()?.size() as i64))?;
        }
        FICLONE | FICLONERANGE | FIDEDUPERANGE => return Err(Errno::EOPNOTSUPP.into()),
        _ => {
            let result = file.ops().clone().ioctl(&file, command, argument, context);
            let is_unknown = matches!(&result, Err(error) if error.errno() == Errno::ENOTTY);
            // Files of the kernel's own count as regular, and know better how much there is to read.
            if !is_unknown || command != FIONREAD || file.inode()?.access().file_type != FileType::Regular {
                return result;
            }
            let left = file.inode()?.size().saturating_sub(*file.position().lock());
            UserPtr::<i32>::new(argument).write(&(left.min(i32::MAX as u64) as i32))?;
        }
    }
    Ok(0)
}
