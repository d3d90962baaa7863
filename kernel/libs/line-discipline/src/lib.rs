//! A terminal's line discipline (termios(3)), without the terminal: what is typed becomes lines, echo and keys with a meaning; what is
//! printed gets its carriage returns.
//!
//! [`LineDiscipline`] keeps the settings and the input; what it wants done it says in [`Effects`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod edit;
mod print;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::INITIAL;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use coffer_abi_types::tty::character::{
    VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME,
    VWERASE,
};
use coffer_abi_types::tty::input::{IGNCR, IMAXBEL, INLCR, ISTRIP, IUCLC, IXANY, IXON, PARMRK};
use coffer_abi_types::tty::local::{ECHO, ECHOCTL, ECHONL, ICANON, IEXTEN, ISIG, NOFLSH};
use coffer_abi_types::tty::{input::ICRNL, termios2};

/// Input that is kept for readers, in bytes; the last one is for the end of a line.
pub const INPUT_MAX: usize = 4096;

/// A key that sends a signal to the foreground process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// VINTR: SIGINT.
    Interrupt,
    /// VQUIT: SIGQUIT.
    Quit,
    /// VSUSP: SIGTSTP.
    Suspend,
}

/// What the terminal has to do after input came.
#[derive(Debug, Default)]
pub struct Effects {
    /// Print this, as it is.
    pub echo: Vec<u8>,
    /// Send these signals, in order.
    pub keys: Vec<Key>,
    /// Drop output that was not printed yet; `echo` comes after.
    pub flushes_output: bool,
    /// Input was dropped with it.
    pub flushes_input: bool,
    /// Output was stopped (`true`) or may go on (`false`).
    pub output_stop: Option<bool>,
}

/// Settings, and input on its way to readers.
#[derive(Debug)]
pub struct LineDiscipline {
    settings: termios2,
    input: VecDeque<u8>,
    /// Lengths of the finished lines at the start of `input`, canonical mode only. An end of file alone is a line of length 0.
    lines: VecDeque<usize>,
    /// Bytes after those lines: the line that is being typed.
    unfinished: usize,
    /// VLNEXT came: the next byte means itself.
    is_literal_next: bool,
    is_output_stopped: bool,
    /// Where the cursor is.
    column: usize,
    /// Where it was when the unfinished line began.
    start_column: usize,
}

impl LineDiscipline {
    /// No input yet.
    pub const fn new(settings: termios2) -> Self {
        Self {
            settings,
            input: VecDeque::new(),
            lines: VecDeque::new(),
            unfinished: 0,
            is_literal_next: false,
            is_output_stopped: false,
            column: 0,
            start_column: 0,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &termios2 {
        &self.settings
    }

    /// Changes the settings. Input that is there stays readable: without lines all of it is, with lines it counts as one.
    pub fn set_settings(&mut self, settings: termios2) {
        let was_canonical = self.is_canonical();
        self.settings = settings;
        if was_canonical != self.is_canonical() {
            self.lines.clear();
            self.unfinished = 0;
            self.is_literal_next = false;
            if self.is_canonical() && !self.input.is_empty() {
                self.lines.push_back(self.input.len());
            }
        }
        if !self.has(IXON, self.settings.c_iflag) {
            self.is_output_stopped = false;
        }
    }

    /// Whether input comes in lines.
    pub fn is_canonical(&self) -> bool {
        self.local(ICANON)
    }

    /// Whether VSTOP, or the terminal's owner, stopped output.
    pub fn is_output_stopped(&self) -> bool {
        self.is_output_stopped
    }

    /// Stops output, or lets it go on (TCXONC).
    pub fn set_output_stopped(&mut self, is_stopped: bool) {
        self.is_output_stopped = is_stopped;
    }

    /// Whether a reader would get something; in raw mode without a timer VMIN bytes make something.
    pub fn has_input(&self) -> bool {
        if self.is_canonical() {
            return !self.lines.is_empty();
        }
        let wanted = if self.settings.c_cc[VTIME] == 0 { self.settings.c_cc[VMIN].max(1) } else { 1 };
        self.input.len() >= usize::from(wanted)
    }

    /// How many bytes readers could get (FIONREAD).
    pub fn input_len(&self) -> usize {
        if self.is_canonical() { self.input.len() - self.unfinished } else { self.input.len() }
    }

    /// Whether [`Self::receive`] would take a byte.
    pub fn has_room(&self) -> bool {
        self.input.len() < INPUT_MAX - 1 || (self.is_canonical() && self.lines.is_empty())
    }

    /// Moves input to `out`: at most one line in canonical mode. `None`: nothing to read yet; `Some(0)`: the end of the file was typed.
    pub fn take(&mut self, out: &mut [u8]) -> Option<usize> {
        let available = if self.is_canonical() { *self.lines.front()? } else { self.input.len() };
        if !self.is_canonical() && available == 0 {
            return None;
        }
        let len = available.min(out.len());
        for (to, from) in out.iter_mut().zip(self.input.drain(..len)) {
            *to = from;
        }
        if self.is_canonical() {
            match self.lines.front_mut() {
                Some(left) if *left > len => *left -= len,
                _ => drop(self.lines.pop_front()),
            }
        }
        Some(len)
    }

    /// Drops all input (TCIFLUSH).
    pub fn flush_input(&mut self) {
        self.input.clear();
        self.lines.clear();
        self.unfinished = 0;
        self.is_literal_next = false;
    }

    /// Takes what was typed; returns how many bytes found room.
    pub fn receive(&mut self, bytes: &[u8], effects: &mut Effects) -> usize {
        for (taken, &byte) in bytes.iter().enumerate() {
            if !self.has_room() {
                return taken;
            }
            self.receive_byte(byte, effects);
        }
        bytes.len()
    }

    fn receive_byte(&mut self, byte: u8, effects: &mut Effects) {
        let mut byte = byte;
        if self.input_flag(ISTRIP) {
            byte &= 0x7f;
        }
        if self.input_flag(IUCLC) && self.local(IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.is_literal_next) {
            self.echo_byte(byte, effects);
            self.keep(byte, effects);
            return;
        }
        if self.steer_output(byte, effects) || self.send_key(byte, effects) {
            return;
        }
        match byte {
            b'\r' if self.input_flag(IGNCR) => return,
            b'\r' if self.input_flag(ICRNL) => byte = b'\n',
            b'\n' if self.input_flag(INLCR) => byte = b'\r',
            _ => {}
        }
        if self.is_canonical() && self.edit(byte, effects) {
            return;
        }
        self.echo_byte(byte, effects);
        if byte == 0xff && self.input_flag(PARMRK) && !self.input_flag(ISTRIP) {
            // So that a marked byte can be told from one of this value.
            self.keep(byte, effects);
        }
        self.keep(byte, effects);
    }

    /// VSTART and VSTOP.
    fn steer_output(&mut self, byte: u8, effects: &mut Effects) -> bool {
        if !self.input_flag(IXON) {
            return false;
        }
        if self.is_character(VSTART, byte) || self.is_character(VSTOP, byte) {
            // One character may do both, by turns.
            let stops = self.is_character(VSTOP, byte)
                && !(self.is_character(VSTART, byte) && self.is_output_stopped);
            self.is_output_stopped = stops;
            effects.output_stop = Some(stops);
            return true;
        }
        if self.is_output_stopped && self.input_flag(IXANY) {
            self.is_output_stopped = false;
            effects.output_stop = Some(false);
        }
        false
    }

    fn send_key(&mut self, byte: u8, effects: &mut Effects) -> bool {
        if !self.local(ISIG) {
            return false;
        }
        let keys = [(VINTR, Key::Interrupt), (VQUIT, Key::Quit), (VSUSP, Key::Suspend)];
        let Some((_, key)) = keys.into_iter().find(|(index, _)| self.is_character(*index, byte)) else {
            return false;
        };
        if !self.local(NOFLSH) {
            self.flush_input();
            effects.echo.clear();
            effects.flushes_input = true;
            effects.flushes_output = true;
        }
        if self.input_flag(IXON) && self.is_output_stopped {
            self.is_output_stopped = false;
            effects.output_stop = Some(false);
        }
        self.echo_byte(byte, effects);
        effects.keys.push(key);
        true
    }

    /// Canonical mode's characters; `false`: it is an ordinary one.
    fn edit(&mut self, byte: u8, effects: &mut Effects) -> bool {
        let is_extended = self.local(IEXTEN);
        if self.is_character(VERASE, byte) {
            self.erase_character(byte, effects);
        } else if self.is_character(VKILL, byte) {
            self.erase_line(byte, effects);
        } else if is_extended && self.is_character(VWERASE, byte) {
            self.erase_word(byte, effects);
        } else if is_extended && self.is_character(VLNEXT, byte) {
            self.is_literal_next = true;
            if self.local(ECHO) && self.local(ECHOCTL) {
                effects.echo.extend_from_slice(b"^\x08");
            }
        } else if is_extended && self.local(ECHO) && self.is_character(VREPRINT, byte) {
            self.reprint(byte, effects);
        } else if byte == b'\n' {
            if self.local(ECHO) || self.local(ECHONL) {
                self.print(b"\n", &mut effects.echo);
            }
            self.finish_line(Some(byte));
        } else if self.is_character(VEOF, byte) {
            self.finish_line(None);
        } else if self.is_character(VEOL, byte) || (is_extended && self.is_character(VEOL2, byte)) {
            self.echo_byte(byte, effects);
            self.finish_line(Some(byte));
        } else {
            return false;
        }
        true
    }

    /// Adds an ordinary byte, if there is room: the last place is for the end of the line.
    fn keep(&mut self, byte: u8, effects: &mut Effects) {
        if self.input.len() >= INPUT_MAX - 1 {
            if self.input_flag(IMAXBEL) {
                effects.echo.push(0x07);
            }
            return;
        }
        self.input.push_back(byte);
        if self.is_canonical() {
            self.unfinished += 1;
        }
    }

    fn finish_line(&mut self, end: Option<u8>) {
        let len = self.unfinished + usize::from(end.is_some());
        self.input.extend(end);
        self.lines.push_back(len);
        self.unfinished = 0;
        self.start_column = self.column;
    }

    fn is_character(&self, index: usize, byte: u8) -> bool {
        // _POSIX_VDISABLE is NUL: such a character is none.
        byte != 0 && self.settings.c_cc[index] == byte
    }

    fn has(&self, flag: u32, flags: u32) -> bool {
        flags & flag != 0
    }

    fn local(&self, flag: u32) -> bool {
        self.has(flag, self.settings.c_lflag)
    }

    fn input_flag(&self, flag: u32) -> bool {
        self.has(flag, self.settings.c_iflag)
    }
}
