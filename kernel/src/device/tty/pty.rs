//! Pseudo terminals (pty(7)): a terminal whose line ends in a file, the master. Terminals live in an instance of devpts, where the
//! master's opening makes them.

use super::file::TtyFile;
use super::ioctl::{self, Side};
use super::{Port, Tty};
use crate::context::Context;
use crate::device::registry;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::devpts::{self, Number};
use crate::fs::open_file::flags::{O_ACCMODE, O_CLOEXEC, O_NONBLOCK};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::vfs::file_system::device_number;
use crate::fs::vfs::place::Path;
use crate::process::rlimit::Resource;
use crate::syscall::UserPtr;
use crate::thread::wait;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use coffer_abi_types::tty::packet::{TIOCPKT_DATA, TIOCPKT_START, TIOCPKT_STOP};
use coffer_abi_types::tty::request::{
    FIONREAD, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCOUTQ, TIOCPKT, TIOCSPTLCK,
};
use coffer_line_discipline::INITIAL;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::SpinLock;

/// Major and minor number of /dev/ptmx.
const MULTIPLEXER: (u32, u32) = (5, 2);
/// Major number of the terminals.
const MAJOR: u32 = 136;
/// Output that waits for the master to read it, at most.
const OUTPUT_MAX: usize = 16 * 1024;
/// What is moved at once.
const PIECE: usize = 512;

/// Registers /dev/ptmx.
///
/// # Errors
/// EEXIST if its number is taken.
pub fn register() -> Result<()> {
    registry::register_char_with(MULTIPLEXER.0, MULTIPLEXER.1, "ptmx", 0o666, |path, _, _| open_master(path))
}

/// Device number of the multiplexer, for devpts's own node.
pub const fn multiplexer_device() -> u64 {
    device_number(MULTIPLEXER.0, MULTIPLEXER.1)
}

/// Opens a terminal by its name.
///
/// # Errors
/// EIO while it is locked or once its master is gone.
pub fn open_terminal(tty: &Arc<Tty>, flags: u32) -> Result<Arc<dyn FileOps>> {
    let is_open = line_of(tty).is_some_and(|line| !line.is_locked.load(Ordering::Acquire));
    if !is_open {
        return Err(Errno::EIO.into());
    }
    TtyFile::open(tty, flags)
}

/// Makes a terminal in the devpts instance that `path` (a ptmx) belongs to.
fn open_master(path: &Path) -> Result<Arc<dyn FileOps>> {
    let (instance, root) = devpts::instance_for(path)?;
    let number = devpts::take_number(&instance)?;
    let index = number.index();
    let line = Arc::new(Line {
        number,
        output: SpinLock::new(VecDeque::new()),
        pollee: Pollee::new(),
        use_state: AtomicU8::new(NEVER_OPENED),
        is_locked: AtomicBool::new(true),
        is_cut: AtomicBool::new(false),
        tells_status: AtomicBool::new(false),
        status: AtomicU8::new(TIOCPKT_DATA),
    });
    let tty = Tty::new(device_number(MAJOR, index), INITIAL, line.clone());
    instance.add(index, &tty);
    Ok(Arc::new(Master { line, tty, root }))
}

/// The line between the two sides.
#[derive(Debug)]
struct Line {
    number: Number,
    output: SpinLock<VecDeque<u8>>,
    /// Of the master.
    pollee: Pollee,
    use_state: AtomicU8,
    /// TIOCSPTLCK: the terminal cannot be opened yet.
    is_locked: AtomicBool,
    /// The master is closed.
    is_cut: AtomicBool,
    /// Packet mode (TIOCPKT).
    tells_status: AtomicBool,
    /// What packet mode has to tell.
    status: AtomicU8,
}

/// Nobody has opened the terminal yet: the master waits.
const NEVER_OPENED: u8 = 0;
/// Someone has it open.
const OPEN: u8 = 1;
/// All have closed it: the master reads the rest, then EIO.
const CLOSED: u8 = 2;

fn line_of(tty: &Tty) -> Option<&Line> {
    let port: &dyn core::any::Any = &*tty.port;
    port.downcast_ref()
}

impl Line {
    fn has_news(&self) -> bool {
        self.tells_status.load(Ordering::Relaxed) && self.status.load(Ordering::Relaxed) != TIOCPKT_DATA
    }

    fn is_closed(&self) -> bool {
        self.use_state.load(Ordering::Acquire) == CLOSED
    }
}

impl Port for Line {
    fn room(&self) -> usize {
        OUTPUT_MAX.saturating_sub(self.output.lock().len())
    }

    fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() || self.is_cut.load(Ordering::Acquire) {
            return;
        }
        self.output.lock().extend(bytes);
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    fn flush(&self) {
        self.output.lock().clear();
    }

    fn input_taken(&self) {
        self.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
    }

    fn report(&self, status: u8) {
        if !self.tells_status.load(Ordering::Relaxed) {
            return;
        }
        // Of two that contradict each other, the later one holds.
        let contrary = match status {
            TIOCPKT_STOP => TIOCPKT_START,
            TIOCPKT_START => TIOCPKT_STOP,
            _ => 0,
        };
        let _ = self
            .status
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old & !contrary | status));
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM | IoEvents::PRI);
    }

    fn is_pseudo(&self) -> bool {
        true
    }

    fn in_use(&self, is_open: bool) {
        self.use_state.store(if is_open { OPEN } else { CLOSED }, Ordering::Release);
        if !is_open {
            self.pollee.notify(IoEvents::HUP | IoEvents::IN);
        }
    }
}

/// The open master.
#[derive(Debug)]
struct Master {
    line: Arc<Line>,
    tty: Arc<Tty>,
    /// The devpts that it is in, for TIOCGPTPEER.
    root: Path,
}

impl Master {
    /// Moves output to `out`; `None`: there is none yet.
    fn take(&self, out: &mut [u8]) -> Option<Result<usize>> {
        let line = &self.line;
        let is_packet = line.tells_status.load(Ordering::Relaxed);
        if is_packet {
            let status = line.status.swap(TIOCPKT_DATA, Ordering::Relaxed);
            if status != TIOCPKT_DATA {
                out[0] = status;
                return Some(Ok(1));
            }
        }
        // Looked at before the output: what was printed before the last close must be read.
        let is_closed = line.is_closed();
        let header = usize::from(is_packet);
        let len = {
            let mut output = line.output.lock();
            let len = output.len().min(out.len() - header);
            for (to, from) in out[header..].iter_mut().zip(output.drain(..len)) {
                *to = from;
            }
            len
        };
        if len == 0 {
            return is_closed.then_some(Err(Errno::EIO.into()));
        }
        if is_packet {
            out[0] = TIOCPKT_DATA;
        }
        self.tty.output_taken();
        Some(Ok(header + len))
    }

    fn open_peer(&self, flags: u32, context: &Context<'_>) -> Result<isize> {
        let dentry = self.root.dentry.child(format!("{}", self.line.number.index()).as_bytes())?;
        dentry.inode()?;
        let ops = open_terminal(&self.tty, flags)?;
        let path = Path { mount: self.root.mount.clone(), dentry };
        let file = OpenFile::new(path, ops, flags & (O_ACCMODE | O_NONBLOCK));
        let limit = context.process.rlimit(Resource::OpenFiles).0;
        let fd = context.process.fds().install(file, flags & O_CLOEXEC != 0, limit)?;
        Ok(fd.0 as isize)
    }
}

impl FileOps for Master {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if writer.remaining() == 0 {
            return Ok(0);
        }
        let mut bytes = alloc::vec![0; writer.remaining().min(OUTPUT_MAX)];
        let len = if file.is_nonblocking() {
            self.take(&mut bytes).ok_or(Errno::EAGAIN)??
        } else {
            wait::wait_for_events(&self.line.pollee, IoEvents::IN, None, || self.take(&mut bytes))??
        };
        writer.write_all(&bytes[..len])?;
        Ok(len)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let mut total = 0;
        let mut piece = [0; PIECE];
        while reader.remaining() > 0 {
            let len = reader.remaining().min(PIECE);
            reader.read_exact(&mut piece[..len])?;
            let mut rest = &piece[..len];
            while !rest.is_empty() {
                let taken = self.tty.receive(rest);
                total += taken;
                rest = &rest[taken..];
                if rest.is_empty() {
                    break;
                }
                let has_room = || self.tty.has_input_room().then_some(());
                let waited = if file.is_nonblocking() {
                    has_room().ok_or(Errno::EAGAIN.into())
                } else {
                    wait::wait_for_events(&self.line.pollee, IoEvents::OUT, None, has_room)
                };
                match waited {
                    Ok(()) => {}
                    Err(_) if total > 0 => return Ok(total),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(total)
    }

    fn poll(&self, _: &OpenFile) -> IoEvents {
        let mut events = IoEvents::empty();
        if !self.line.output.lock().is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if self.line.has_news() {
            events |= IoEvents::IN | IoEvents::RDNORM | IoEvents::PRI;
        }
        if self.tty.has_input_room() {
            events |= IoEvents::OUT | IoEvents::WRNORM;
        }
        if self.line.is_closed() {
            events |= IoEvents::HUP;
        }
        events
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.line.pollee)
    }

    fn ioctl(&self, _: &OpenFile, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        let line = &self.line;
        match command {
            TIOCGPTN => UserPtr::new(argument).write(&line.number.index())?,
            TIOCSPTLCK => {
                let locks = UserPtr::<i32>::new(argument).read()? != 0;
                line.is_locked.store(locks, Ordering::Release);
            }
            TIOCGPTLCK => UserPtr::new(argument).write(&i32::from(line.is_locked.load(Ordering::Acquire)))?,
            TIOCPKT => {
                let tells = UserPtr::<i32>::new(argument).read()? != 0;
                line.status.store(TIOCPKT_DATA, Ordering::Relaxed);
                line.tells_status.store(tells, Ordering::Relaxed);
            }
            TIOCGPKT => {
                UserPtr::new(argument).write(&i32::from(line.tells_status.load(Ordering::Relaxed)))?;
            }
            TIOCGPTPEER => return self.open_peer(argument as u32, context),
            FIONREAD => UserPtr::new(argument).write(&(line.output.lock().len() as i32))?,
            TIOCOUTQ => UserPtr::new(argument).write(&(self.tty.discipline.lock().input_len() as i32))?,
            _ => return ioctl::serve(&self.tty, Side::Master, command, argument, context),
        }
        Ok(0)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.line.is_cut.store(true, Ordering::Release);
        self.line.is_locked.store(true, Ordering::Release);
        devpts::remove(&self.line.number);
        self.tty.cut();
        // Writers that wait for room would wait for ever.
        self.line.flush();
    }
}
