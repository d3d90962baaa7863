//! [reboot(2)](https://man7.org/linux/man-pages/man2/reboot.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::process::exit::begin_group_exit;
use crate::process::exit_status::ExitStatus;
use crate::signal::Signal;
use ostd::power::{self, Exit};

const MAGIC: u32 = 0xfee1_dead;
const SECOND_MAGICS: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
const RESTART: u32 = 0x0123_4567;
const HALT: u32 = 0xcdef_0123;
const CAD_ON: u32 = 0x89ab_cdef;
const CAD_OFF: u32 = 0;
const POWER_OFF: u32 = 0x4321_fedc;
const RESTART_2: u32 = 0xa1b2_c3d4;

/// Restarts or powers off; in a pid namespace, ends its init instead.
pub fn sys_reboot(
    magic: u32,
    second: u32,
    command: u32,
    _argument: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    if !context.process.credentials().has_in(context.process.pid_namespace().owner(), Capability::SysBoot) {
        return Err(Errno::EPERM.into());
    }
    if magic != MAGIC || !SECOND_MAGICS.contains(&second) {
        return Err(Errno::EINVAL.into());
    }
    let namespace = context.process.pid_namespace();
    if namespace.level() > 0 {
        // pid_namespaces(7): the parent sees how it ended.
        let signal = match command {
            RESTART | RESTART_2 => Signal::HUP,
            HALT | POWER_OFF => Signal::INT,
            _ => return Err(Errno::EINVAL.into()),
        };
        if let Some(init) = namespace.init() {
            begin_group_exit(&init, ExitStatus::Killed(signal));
        }
        return Ok(0);
    }
    match command {
        RESTART | RESTART_2 => power::restart(),
        HALT | POWER_OFF => power::off(Exit::Clean),
        // There is no Ctrl-Alt-Del on a server without a keyboard.
        CAD_ON | CAD_OFF => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}
