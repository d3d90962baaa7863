//! The serial line as a terminal: /dev/ttyS0, and /dev/console, which is the same.

use super::file::TtyFile;
use super::{Port, Tty, job};
use crate::device::registry;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::O_NOCTTY;
use crate::fs::vfs::file_system::device_number;
use crate::thread::Thread;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use coffer_abi_types::tty::control::{B115200, CBAUD, CLOCAL};
use coffer_abi_types::tty::termios2;
use coffer_line_discipline::INITIAL;
use ostd::sync::{Lazy, SpinLock, WaitQueue};
use ostd::task::Task;

/// Major and minor number of /dev/ttyS0.
const SERIAL: (u32, u32) = (4, 64);
/// Major and minor number of /dev/console.
const CONSOLE: (u32, u32) = (5, 1);
/// Major and minor number of /dev/tty.
const OWN: (u32, u32) = (5, 0);
/// What was typed and not looked at, at most. Typing faster than the kernel runs loses characters, as it does on any UART.
const TYPED_MAX: usize = 1024;

static TTY: Lazy<Arc<Tty>> = Lazy::new(|| {
    let settings = termios2 {
        c_cflag: (INITIAL.c_cflag & !CBAUD) | B115200 | CLOCAL,
        c_ispeed: 115_200,
        c_ospeed: 115_200,
        ..INITIAL
    };
    Tty::new(device_number(SERIAL.0, SERIAL.1), settings, Arc::new(SerialLine))
});
static TYPED: SpinLock<VecDeque<u8>> = SpinLock::new(VecDeque::new());
static TYPED_QUEUE: WaitQueue = WaitQueue::new();

/// Registers the terminal and starts to listen to the line.
///
/// # Errors
/// EEXIST if a device number is taken, ENOMEM.
pub fn register() -> Result<()> {
    registry::register_char_with(SERIAL.0, SERIAL.1, "ttyS0", 0o620, |_, _, flags| {
        TtyFile::open(&TTY, flags)
    })?;
    registry::register_char_with(CONSOLE.0, CONSOLE.1, "console", 0o600, |_, _, _| {
        Ok(TtyFile::open_console(&TTY))
    })?;
    // The terminal of whoever asks.
    registry::register_char_with(OWN.0, OWN.1, "tty", 0o666, |_, _, flags| {
        let thread = Thread::current().ok_or(Errno::ENXIO)?;
        let own = job::terminal_of(&thread.process().session()).ok_or(Errno::ENXIO)?;
        TtyFile::open(&own, flags | O_NOCTTY)
    })?;
    // The interrupt only stores bytes: keys send signals, which is work for a task.
    TYPED.lock_irq().reserve_exact(TYPED_MAX);
    Task::new(listen, Arc::new(()), crate::sched::start_values(false))?.start();
    ostd::console::set_input_handler(|bytes| {
        let mut typed = TYPED.lock_irq();
        let room = TYPED_MAX - typed.len();
        typed.extend(bytes.iter().take(room));
        drop(typed);
        TYPED_QUEUE.wake_all();
    });
    Ok(())
}

fn listen() {
    let mut bytes = [0; 64];
    loop {
        let len = TYPED_QUEUE.wait_until(|| {
            let mut typed = TYPED.lock_irq();
            let len = typed.len().min(bytes.len());
            for (to, from) in bytes.iter_mut().zip(typed.drain(..len)) {
                *to = from;
            }
            (len > 0).then_some(len)
        });
        TTY.receive(&bytes[..len]);
    }
}

#[derive(Debug)]
struct SerialLine;

impl Port for SerialLine {
    fn room(&self) -> usize {
        // The line is polled: whatever comes is printed before the call returns.
        usize::MAX
    }

    fn write(&self, bytes: &[u8]) {
        ostd::console::write(bytes);
    }
}
