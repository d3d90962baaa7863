//! The caller's terminal and signals, passed on to the container.

use std::io::stdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context as _;
use coffer_harness::control::{Command, Size};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

/// The terminal in raw mode, for as long as this lives.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Enters raw mode: every key goes to the container, Ctrl-C included.
    pub fn enter() -> anyhow::Result<Self> {
        let before = tcgetattr(stdin()).context("cannot read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Flush, &raw).context("cannot set the terminal's mode")?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone away needs no restoring.
        let _gone = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Size of the caller's terminal; that of a VT100 where there is none.
pub fn size() -> Size {
    tcgetwinsize(stdin())
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0)
        .map_or(Size { rows: 24, cols: 80 }, |size| Size { rows: size.ws_row, cols: size.ws_col })
}

/// Passes signals on from now until the process ends. A second Ctrl-C ends the machine: the first may have met a container that
/// ignores it, or no container yet.
pub fn forward_signals(control: coffer_harness::Control, cancelled: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM, SIGWINCH]).context("cannot watch for signals")?;
    thread::spawn(move || {
        let mut interrupts = 0;
        for signal in signals.forever() {
            let command = if signal == SIGWINCH { Command::Resize(size()) } else { Command::Signal(signal) };
            interrupts += u32::from(signal == SIGINT);
            if interrupts > 1 {
                cancelled.store(true, Ordering::Relaxed);
            }
            // A machine that is gone is noticed by those who wait for it.
            let _gone = control.send(&command);
        }
    });
    Ok(())
}
