//! [personality(2)](https://man7.org/linux/man-pages/man2/personality.2.html)

use crate::context::Context;
use crate::error::Result;

/// Asks without changing.
const ASK: u32 = 0xffff_ffff;

/// Flags that change how programs are loaded; returns those of before.
pub fn sys_personality(persona: u32, context: &mut Context<'_>) -> Result<u32> {
    let old = context.process.personality();
    if persona != ASK {
        context.process.set_personality(persona);
    }
    Ok(old)
}
