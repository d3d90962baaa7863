//! An open terminal: reads that wait for lines or bytes, writes that wait for room.

use super::{Tty, hung_up_events, ioctl};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::flags::{O_ACCMODE, O_NOCTTY, O_WRONLY};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::signal::Signal;
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use coffer_abi_types::tty::local::TOSTOP;
use coffer_line_discipline::INPUT_MAX;
use core::sync::atomic::Ordering;
use ostd::mm::{VmReader, VmWriter};

/// What a write moves at once. Others may print between two pieces.
const PIECE: usize = 256;

/// An open terminal.
#[derive(Debug)]
pub struct TtyFile {
    tty: Arc<Tty>,
    /// How often the terminal had been hung up when this file was opened; `None`: /dev/console, which hang-ups do not end.
    hangups: Option<u32>,
}

impl TtyFile {
    /// An open file of `tty`, which becomes the caller's controlling terminal if the caller can use one and O_NOCTTY does not forbid it.
    ///
    /// # Errors
    /// EBUSY after TIOCEXCL, without CAP_SYS_ADMIN.
    pub fn open(tty: &Arc<Tty>, flags: u32) -> Result<Arc<dyn FileOps>> {
        if tty.is_exclusive.load(Ordering::Relaxed) && !ioctl::is_administrator() {
            return Err(Errno::EBUSY.into());
        }
        let file = Self::build(tty, Some(tty.hangups.load(Ordering::Acquire)));
        if flags & O_NOCTTY == 0 && flags & O_ACCMODE != O_WRONLY {
            tty.offer_control();
        }
        Ok(file)
    }

    /// As [`Self::open`], for /dev/console.
    pub fn open_console(tty: &Arc<Tty>) -> Arc<dyn FileOps> {
        Self::build(tty, None)
    }

    fn build(tty: &Arc<Tty>, hangups: Option<u32>) -> Arc<dyn FileOps> {
        if tty.opens.fetch_add(1, Ordering::AcqRel) == 0 {
            tty.port.in_use(true);
        }
        Arc::new(Self { tty: tty.clone(), hangups })
    }

    fn is_hung_up(&self) -> bool {
        self.hangups.is_some_and(|hangups| hangups != self.tty.hangups.load(Ordering::Acquire))
    }

    /// Waits until `condition` gives a value or the terminal is hung up (`Ok(None)`).
    fn wait<R>(
        &self,
        file: &OpenFile,
        events: IoEvents,
        deadline_ns: Option<u64>,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<Option<R>> {
        let mut attempt = || match condition() {
            Some(value) => Some(Some(value)),
            None => self.is_hung_up().then_some(None),
        };
        if file.is_nonblocking() {
            return attempt().ok_or(Errno::EAGAIN.into());
        }
        wait::wait_for_events(&self.tty.pollee, events, deadline_ns, attempt)
    }

    fn read_line(&self, file: &OpenFile, out: &mut [u8]) -> Result<usize> {
        let line = self.wait(file, IoEvents::IN, None, || self.tty.take(out))?;
        Ok(line.unwrap_or(0))
    }

    /// A read in raw mode, as termios(3) has its four cases.
    fn read_bytes(&self, file: &OpenFile, out: &mut [u8], patience: super::Patience) -> Result<usize> {
        let mut done = self.tty.take(out).unwrap_or(0);
        let wanted = patience.min.min(out.len());
        if done > 0 && done >= wanted {
            return Ok(done);
        }
        if patience.min == 0 && patience.time_ns.is_none() {
            return Ok(done);
        }
        loop {
            // The timer runs from the start when one byte is enough, else from the last byte.
            let runs = patience.min == 0 || done > 0;
            let deadline_ns = patience
                .time_ns
                .filter(|_| runs)
                .map(|time_ns| ostd::timer::now_ns().saturating_add(time_ns));
            let more = self.wait(file, IoEvents::IN, deadline_ns, || self.tty.take(&mut out[done..]));
            match more {
                Ok(None) => return Ok(done),
                Ok(Some(len)) => done += len,
                Err(error) if error.errno() == Errno::ETIMEDOUT || done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
            if done >= wanted.max(1) {
                return Ok(done);
            }
        }
    }
}

impl FileOps for TtyFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if self.is_hung_up() || writer.remaining() == 0 {
            return Ok(0);
        }
        self.tty.check_turn(Signal::TTIN)?;
        let mut bytes = alloc::vec![0; writer.remaining().min(INPUT_MAX)];
        let len = match self.tty.patience() {
            None => self.read_line(file, &mut bytes)?,
            Some(patience) => self.read_bytes(file, &mut bytes, patience)?,
        };
        writer.write_all(&bytes[..len])?;
        Ok(len)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        if !self.is_hung_up() && self.tty.settings().c_lflag & TOSTOP != 0 {
            self.tty.check_turn(Signal::TTOU)?;
        }
        let mut total = 0;
        let mut piece = [0; PIECE];
        while reader.remaining() > 0 {
            // A line that takes all at once never sleeps, where a signal would be noticed.
            if total > 0 && Thread::current().is_some_and(|thread| thread.has_pending_signal()) {
                return Ok(total);
            }
            let len = reader.remaining().min(PIECE);
            reader.read_exact(&mut piece[..len])?;
            let mut rest = &piece[..len];
            while !rest.is_empty() {
                if self.is_hung_up() {
                    return if total > 0 { Ok(total) } else { Err(Errno::EIO.into()) };
                }
                let printed = self.wait(file, IoEvents::OUT, None, || {
                    let printed = self.tty.print(rest);
                    (printed > 0).then_some(printed)
                });
                match printed {
                    Ok(printed) => {
                        total += printed.unwrap_or(0);
                        rest = &rest[printed.unwrap_or(0)..];
                    }
                    Err(_) if total > 0 => return Ok(total),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(total)
    }

    fn poll(&self, _: &OpenFile) -> IoEvents {
        if self.is_hung_up() { hung_up_events() } else { self.tty.ready() }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.tty.pollee)
    }

    fn ioctl(&self, _: &OpenFile, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        if self.is_hung_up() {
            return Err(Errno::EIO.into());
        }
        ioctl::serve(&self.tty, ioctl::Side::Terminal, command, argument, context)
    }
}

impl Drop for TtyFile {
    fn drop(&mut self) {
        if self.tty.opens.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tty.is_exclusive.store(false, Ordering::Relaxed);
            self.tty.port.in_use(false);
        }
    }
}
