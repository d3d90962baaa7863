//! [getrandom(2)](https://man7.org/linux/man-pages/man2/getrandom.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::random;
use crate::syscall::UserPtr;

const GRND_NONBLOCK: u32 = 1;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;
/// The most in one call.
const MAX: usize = 0x1ff_ffff;
/// Made at a time; signals are looked at in between.
const CHUNK: usize = 256;

/// Random bytes. The generator is seeded before the first program runs, so it never blocks.
pub fn sys_getrandom(to: UserPtr<u8>, len: usize, flags: u32, context: &mut Context<'_>) -> Result<usize> {
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0
        || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE
    {
        return Err(Errno::EINVAL.into());
    }
    let len = len.min(MAX);
    let mut writer = to.writer(len)?;
    let mut done = 0;
    while done < len {
        let mut chunk = [0; CHUNK];
        let chunk = &mut chunk[..CHUNK.min(len - done)];
        random::fill(chunk);
        match writer.write(chunk) {
            Ok(written) if written == chunk.len() => done += written,
            Ok(written) => return Ok(done + written),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        }
        if context.thread.has_pending_signal() {
            break;
        }
    }
    Ok(done)
}
