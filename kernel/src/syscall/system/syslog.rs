//! [syslog(2)](https://man7.org/linux/man-pages/man2/syslog.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;
use core::sync::atomic::{AtomicU64, Ordering};

const CLOSE: i32 = 0;
const OPEN: i32 = 1;
const READ_ALL: i32 = 3;
const READ_CLEAR: i32 = 4;
const CLEAR: i32 = 5;
const CONSOLE_OFF: i32 = 6;
const CONSOLE_ON: i32 = 7;
const CONSOLE_LEVEL: i32 = 8;
const SIZE_BUFFER: i32 = 10;

/// Length of the log's ring in bytes.
const RING_LEN: usize = 128 << 10;
/// Where READ_ALL starts: moved by CLEAR.
static CLEARED: AtomicU64 = AtomicU64::new(0);

/// Reads and controls the kernel's log.
pub fn sys_syslog(action: i32, to: UserPtr<u8>, len: i32, context: &mut Context<'_>) -> Result<usize> {
    let credentials = context.process.credentials();
    let is_harmless = matches!(action, READ_ALL | SIZE_BUFFER);
    if !is_harmless && !credentials.has(Capability::Syslog) && !credentials.has(Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    match action {
        CLOSE | OPEN => Ok(0),
        READ_ALL | READ_CLEAR => {
            let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
            let (log, next) = read_all();
            // The last `len` bytes, as the man page says.
            let tail = &log[log.len().saturating_sub(len)..];
            to.write_array(tail)?;
            if action == READ_CLEAR {
                CLEARED.store(next, Ordering::Relaxed);
            }
            Ok(tail.len())
        }
        CLEAR => {
            CLEARED.store(read_all().1, Ordering::Relaxed);
            Ok(0)
        }
        CONSOLE_OFF => set_level(1),
        CONSOLE_ON => set_level(7),
        CONSOLE_LEVEL if (1..=8).contains(&len) => set_level(len),
        SIZE_BUFFER => Ok(RING_LEN),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn read_all() -> (alloc::vec::Vec<u8>, u64) {
    let mut log = alloc::vec![0; RING_LEN];
    let (mut len, mut next) = (0, CLEARED.load(Ordering::Relaxed));
    loop {
        let (more, after) = ostd::logger::read(next, &mut log[len..]);
        next = after;
        len += more;
        if more == 0 {
            break;
        }
    }
    log.truncate(len);
    (log, next)
}

/// Syslog's levels count from 0 (emergency); those of the log are fewer. The console shows what is below `level`.
fn set_level(level: i32) -> Result<usize> {
    ostd::logger::set_console_level(match level {
        ..=3 => log::LevelFilter::Off,
        4 => log::LevelFilter::Error,
        5 => log::LevelFilter::Warn,
        6 | 7 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    });
    Ok(0)
}
