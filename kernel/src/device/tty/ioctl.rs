//! The requests of ioctl_tty(2) that both sides of a terminal answer.

use super::{Tty, job};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::process::credentials::Capability;
use crate::signal::Signal;
use crate::syscall::UserPtr;
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::tty::control::{B38400, B115200, CBAUD};
use coffer_abi_types::tty::packet::{TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_START, TIOCPKT_STOP};
use coffer_abi_types::tty::request::{
    FIONREAD, TCFLSH, TCGETS, TCGETS2, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2, TCSETSW,
    TCSETSW2, TCXONC, TIOCCBRK, TIOCEXCL, TIOCGDEV, TIOCGEXCL, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY,
    TIOCNXCL, TIOCOUTQ, TIOCSBRK, TIOCSCTTY, TIOCSPGRP, TIOCSTI, TIOCSWINSZ, TIOCVHANGUP,
};
use coffer_abi_types::tty::{termios, termios2, winsize};
use core::sync::atomic::Ordering;

/// Which side asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The terminal itself.
    Terminal,
    /// The master of a pseudo terminal.
    Master,
}

/// Serves a request.
///
/// # Errors
/// ENOTTY for a request that terminals do not know; as ioctl_tty(2).
pub fn serve(
    tty: &Arc<Tty>,
    side: Side,
    command: u32,
    argument: usize,
    context: &mut Context<'_>,
) -> Result<isize> {
    if side == Side::Terminal && changes(command) {
        tty.check_turn(Signal::TTOU)?;
    }
    match command {
        TCGETS => UserPtr::new(argument).write(&without_speeds(&tty.settings()))?,
        TCGETS2 => UserPtr::new(argument).write(&tty.settings())?,
        TCSETS | TCSETSW | TCSETSF => {
            let new = with_speeds(&UserPtr::read(UserPtr::new(argument))?, &tty.settings());
            change_settings(tty, new, command == TCSETSF);
        }
        TCSETS2 | TCSETSW2 | TCSETSF2 => {
            let new = UserPtr::<termios2>::new(argument).read()?;
            change_settings(tty, new, command == TCSETSF2);
        }
        TIOCGWINSZ => UserPtr::new(argument).write(&tty.window())?,
        TIOCSWINSZ => resize(tty, UserPtr::new(argument).read()?),
        FIONREAD if side == Side::Terminal => {
            UserPtr::new(argument).write(&(tty.discipline.lock().input_len() as i32))?;
        }
        TIOCOUTQ if side == Side::Terminal => UserPtr::new(argument).write(&(tty.port.queued() as i32))?,
        TCFLSH => flush(tty, argument)?,
        TCXONC => steer(tty, argument)?,
        // Output is never held back on its way, and breaks have no meaning on our lines.
        TCSBRK | TCSBRKP | TIOCSBRK | TIOCCBRK => {}
        TIOCEXCL => tty.is_exclusive.store(true, Ordering::Relaxed),
        TIOCNXCL => tty.is_exclusive.store(false, Ordering::Relaxed),
        TIOCGEXCL => {
            UserPtr::new(argument).write(&i32::from(tty.is_exclusive.load(Ordering::Relaxed)))?;
        }
        TIOCGDEV => UserPtr::new(argument).write(&(tty.device() as u32))?,
        TIOCSCTTY => take_control(tty, argument, context.process)?,
        TIOCNOTTY => give_up(tty, context.process)?,
        TIOCGPGRP => UserPtr::new(argument).write(&foreground(tty, side, context.process)?)?,
        TIOCSPGRP => set_foreground(tty, UserPtr::new(argument).read()?, context.process)?,
        TIOCGSID => UserPtr::new(argument).write(&session_id(tty, side, context.process)?)?,
        TIOCVHANGUP if is_administrator() => tty.cut(),
        TIOCVHANGUP => return Err(Errno::EPERM.into()),
        // Typing in another's name has only ever served attacks; Linux made refusing it an option in 6.2.
        TIOCSTI => return Err(Errno::EIO.into()),
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

/// Requests that a background process may not make.
fn changes(command: u32) -> bool {
    matches!(
        command,
        TCSETS
            | TCSETSW
            | TCSETSF
            | TCSETS2
            | TCSETSW2
            | TCSETSF2
            | TCSBRK
            | TCSBRKP
            | TCFLSH
            | TCXONC
            | TIOCSPGRP
    )
}

/// TIOCSCTTY; argument 1 takes the terminal from another session.
fn take_control(tty: &Arc<Tty>, argument: usize, process: &Arc<Process>) -> Result<()> {
    tty.take_control(process, argument == 1 && process.credentials().has(Capability::SysAdmin))
}

/// TIOCNOTTY: for a leader it ends the whole session's use of the terminal. For others nothing is left to do: a process has the terminal
/// of its session. COMPAT: on Linux a process that is no leader can give it up for itself.
fn give_up(tty: &Arc<Tty>, process: &Arc<Process>) -> Result<()> {
    if !tty.controls(process) {
        return Err(Errno::ENOTTY.into());
    }
    let session = process.session();
    if session.id().global() == process.pid() {
        job::leader_ends(&session);
    }
    Ok(())
}

/// The master's side may ask about any session, the terminal's only about its own.
fn check_own(tty: &Arc<Tty>, side: Side, process: &Process) -> Result<()> {
    if side == Side::Terminal && !tty.controls(process) { Err(Errno::ENOTTY.into()) } else { Ok(()) }
}

fn foreground(tty: &Arc<Tty>, side: Side, process: &Process) -> Result<i32> {
    check_own(tty, side, process)?;
    Ok(tty.foreground_id().map_or(0, |id| id.number_in(process.pid_namespace()) as i32))
}

fn session_id(tty: &Arc<Tty>, side: Side, process: &Process) -> Result<i32> {
    check_own(tty, side, process)?;
    let session = tty.session().ok_or(Errno::ENOTTY)?;
    Ok(session.id().number_in(process.pid_namespace()) as i32)
}

fn set_foreground(tty: &Arc<Tty>, number: i32, process: &Process) -> Result<()> {
    if !tty.controls(process) {
        return Err(Errno::ENOTTY.into());
    }
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    let group = process.pid_namespace().find(number).and_then(|id| id.group()).ok_or(Errno::ESRCH)?;
    if !Arc::ptr_eq(group.session(), &process.session()) {
        return Err(Errno::EPERM.into());
    }
    tty.set_foreground(&group);
    Ok(())
}

/// Whether the caller may administer the system; kernel tasks may.
pub fn is_administrator() -> bool {
    Thread::current().is_none_or(|thread| thread.process().credentials().has(Capability::SysAdmin))
}

fn without_speeds(settings: &termios2) -> termios {
    let termios2 { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, .. } = *settings;
    termios { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc }
}

/// The speeds follow the code in `c_cflag`, if it is a new one.
fn with_speeds(new: &termios, old: &termios2) -> termios2 {
    let termios { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc } = *new;
    let (mut c_ispeed, mut c_ospeed) = (old.c_ispeed, old.c_ospeed);
    if c_cflag & CBAUD != old.c_cflag & CBAUD {
        (c_ispeed, c_ospeed) = match c_cflag & CBAUD {
            B38400 => (38400, 38400),
            B115200 => (115_200, 115_200),
            _ => (c_ispeed, c_ospeed),
        };
    }
    termios2 { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, c_ispeed, c_ospeed }
}

fn change_settings(tty: &Tty, new: termios2, flushes_input: bool) {
    use coffer_abi_types::tty::character::{VSTART, VSTOP};
    use coffer_abi_types::tty::input::IXON;
    use coffer_abi_types::tty::packet::{TIOCPKT_DOSTOP, TIOCPKT_NOSTOP};
    let does_stop = |settings: &termios2| {
        settings.c_iflag & IXON != 0 && settings.c_cc[VSTART] == 0o21 && settings.c_cc[VSTOP] == 0o23
    };
    let did_stop = {
        let mut discipline = tty.discipline.lock();
        if flushes_input {
            discipline.flush_input();
        }
        let did_stop = does_stop(discipline.settings());
        discipline.set_settings(new);
        did_stop
    };
    if did_stop != does_stop(&new) {
        tty.port.report(if did_stop { TIOCPKT_NOSTOP } else { TIOCPKT_DOSTOP });
    }
    // Other input may count as readable now, and output may go on.
    tty.pollee.notify(tty.ready());
}

fn resize(tty: &Arc<Tty>, size: winsize) {
    let old = core::mem::replace(&mut *tty.window.lock(), size);
    if old != size {
        tty.signal_foreground(Signal::WINCH);
    }
}

/// TCFLSH: 0 input, 1 output, 2 both.
fn flush(tty: &Tty, which: usize) -> Result<()> {
    if which > 2 {
        return Err(Errno::EINVAL.into());
    }
    if which != 1 {
        tty.discipline.lock().flush_input();
        tty.port.report(TIOCPKT_FLUSHREAD);
        tty.port.input_taken();
    }
    if which != 0 {
        tty.port.flush();
        tty.port.report(TIOCPKT_FLUSHWRITE);
        tty.output_taken();
    }
    Ok(())
}

/// TCXONC: 0 stops output, 1 lets it go on; 2 and 3 would tell the other side of a line.
fn steer(tty: &Tty, action: usize) -> Result<()> {
    match action {
        0 | 1 => {
            tty.discipline.lock().set_output_stopped(action == 0);
            tty.port.report(if action == 0 { TIOCPKT_STOP } else { TIOCPKT_START });
            tty.output_taken();
            Ok(())
        }
        2 | 3 => Ok(()),
        _ => Err(Errno::EINVAL.into()),
    }
}
