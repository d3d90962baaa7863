//! Terminals (tty(4), pty(7)): a [`Tty`] joins a line discipline and a [`Port`], which is where output goes and input comes from: the serial
//! line ([`console`]) or the master of a pseudo terminal ([`pty`]). Open terminals are [`file::TtyFile`]s.

pub mod console;
mod file;
mod ioctl;
pub mod job;
pub mod pty;

use crate::event::{IoEvents, Pollee};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::tty::character::{VMIN, VTIME};
use coffer_abi_types::tty::{termios2, winsize};
use coffer_line_discipline::{Effects, LineDiscipline};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// Registers the terminals that are always there.
pub fn register() {
    if let Err(error) = console::register().and_then(|()| pty::register()) {
        log::error!("a terminal is missing: {error:?}");
    }
}

/// The other side of a terminal. Called with the terminal's lock held: none of it may sleep.
pub trait Port: core::any::Any + Send + Sync + core::fmt::Debug {
    /// How many bytes [`Self::write`] takes now.
    fn room(&self) -> usize;

    /// Takes output, at most as much as there was room for.
    fn write(&self, bytes: &[u8]);

    /// Bytes that wait to be printed (TIOCOUTQ).
    fn queued(&self) -> usize {
        0
    }

    /// Drops them (TCOFLUSH).
    fn flush(&self) {}

    /// A reader made room for input.
    fn input_taken(&self) {}

    /// Something that packet mode tells (`TIOCPKT_*`).
    fn report(&self, status: u8) {
        let _ = status;
    }

    /// Whether it is a pseudo terminal's master.
    fn is_pseudo(&self) -> bool {
        false
    }

    /// The terminal was opened by its name (`true`), or nobody has it open any more.
    fn in_use(&self, is_open: bool) {
        let _ = is_open;
    }
}

/// A terminal.
#[derive(Debug)]
pub struct Tty {
    device: u64,
    discipline: SpinLock<LineDiscipline>,
    port: Arc<dyn Port>,
    pollee: Pollee,
    window: SpinLock<winsize>,
    control: job::ControlLock,
    /// Open files.
    opens: AtomicUsize,
    /// Files that were opened before the last hang-up are dead.
    hangups: AtomicU32,
    /// TIOCEXCL.
    is_exclusive: AtomicBool,
}

/// When a read in raw mode is done: bytes, and tenths of a second.
#[derive(Clone, Copy, Debug)]
struct Patience {
    min: usize,
    time_ns: Option<u64>,
}

impl Tty {
    /// A terminal with that device number.
    pub fn new(device: u64, settings: termios2, port: Arc<dyn Port>) -> Arc<Self> {
        Arc::new(Self {
            device,
            discipline: SpinLock::new(LineDiscipline::new(settings)),
            port,
            pollee: Pollee::new(),
            window: SpinLock::new(winsize::default()),
            control: job::ControlLock::default(),
            opens: AtomicUsize::new(0),
            hangups: AtomicU32::new(0),
            is_exclusive: AtomicBool::new(false),
        })
    }

    /// Its device number.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The settings.
    pub fn settings(&self) -> termios2 {
        *self.discipline.lock().settings()
    }

    /// The window's size.
    pub fn window(&self) -> winsize {
        *self.window.lock()
    }

    /// Takes input from the port; returns how many bytes found room.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut effects = Effects::default();
        let taken = {
            let mut discipline = self.discipline.lock();
            let taken = discipline.receive(bytes, &mut effects);
            if effects.flushes_output {
                self.port.flush();
            }
            // What finds no room is lost: input must not wait for someone to read the echo.
            let room = self.port.room().min(effects.echo.len());
            self.port.write(&effects.echo[..room]);
            taken
        };
        self.after_input(&effects);
        effects.keys.iter().for_each(|&key| self.press(key));
        taken
    }

    /// Whether [`Self::receive`] would take a byte.
    pub fn has_input_room(&self) -> bool {
        self.discipline.lock().has_room()
    }

    /// Room was made for output: writers go on.
    pub fn output_taken(&self) {
        self.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
    }

    /// Ends all files that are open, as if the line was cut.
    pub fn hang_up(&self) {
        self.hangups.fetch_add(1, Ordering::AcqRel);
        self.discipline.lock().flush_input();
        self.pollee.notify(hung_up_events());
    }

    /// What is ready for files that are not hung up.
    fn ready(&self) -> IoEvents {
        let discipline = self.discipline.lock();
        let mut events = IoEvents::empty();
        if discipline.has_input() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if !discipline.is_output_stopped() && self.port.room() >= discipline.expansion() {
            events |= IoEvents::OUT | IoEvents::WRNORM;
        }
        events
    }

    /// Prints as much of `bytes` as there is room for; returns how much.
    fn print(&self, bytes: &[u8]) -> usize {
        let mut discipline = self.discipline.lock();
        if discipline.is_output_stopped() {
            return 0;
        }
        let len = bytes.len().min(self.port.room() / discipline.expansion());
        let mut out = Vec::with_capacity(len + 16);
        discipline.print(&bytes[..len], &mut out);
        self.port.write(&out);
        len
    }

    /// Moves input to `out`; see [`LineDiscipline::take`].
    fn take(&self, out: &mut [u8]) -> Option<usize> {
        let taken = self.discipline.lock().take(out);
        if taken.is_some() {
            self.port.input_taken();
        }
        taken
    }

    /// When a read is done; `None` in canonical mode.
    fn patience(&self) -> Option<Patience> {
        let discipline = self.discipline.lock();
        if discipline.is_canonical() {
            return None;
        }
        let characters = &discipline.settings().c_cc;
        let time_ns = u64::from(characters[VTIME]) * 100_000_000;
        Some(Patience { min: usize::from(characters[VMIN]), time_ns: (time_ns > 0).then_some(time_ns) })
    }

    fn after_input(&self, effects: &Effects) {
        use coffer_abi_types::tty::packet::{
            TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_START, TIOCPKT_STOP,
        };
        if effects.flushes_input {
            self.port.report(TIOCPKT_FLUSHREAD);
        }
        if effects.flushes_output {
            self.port.report(TIOCPKT_FLUSHWRITE);
        }
        match effects.output_stop {
            Some(true) => self.port.report(TIOCPKT_STOP),
            Some(false) => {
                self.port.report(TIOCPKT_START);
                self.output_taken();
            }
            None => {}
        }
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }
}

/// What poll(2) says of a file that is hung up.
fn hung_up_events() -> IoEvents {
    IoEvents::IN | IoEvents::OUT | IoEvents::ERR | IoEvents::HUP | IoEvents::RDNORM | IoEvents::WRNORM
}
