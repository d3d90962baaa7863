//! One opening of a pipe: reading, writing, polling.

use super::Pipe;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::flags::O_DIRECT;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::syscall::UserPtr;
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use ostd::mm::{VmReader, VmWriter};

const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
/// FIONREAD of ioctl_tty(2).
const FIONREAD: u32 = 0x541b;

/// An opening for reading, writing or, of a FIFO, both.
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// Openings for writing before this one. A FIFO's reader is not told of a hang-up before there was a writer.
    writer_openings: usize,
}

impl PipeEnd {
    /// Counts itself in.
    pub fn new(pipe: Arc<Pipe>, reads: bool, writes: bool) -> Self {
        if reads {
            pipe.readers.fetch_add(1, Ordering::SeqCst);
            pipe.reader_openings.fetch_add(1, Ordering::SeqCst);
        }
        if writes {
            pipe.writers.fetch_add(1, Ordering::SeqCst);
            pipe.writer_openings.fetch_add(1, Ordering::SeqCst);
        }
        let writer_openings = pipe.writer_openings.load(Ordering::SeqCst);
        Self { pipe, reads, writes, writer_openings }
    }

    /// As [`Self::new`] for a reader whose writer is there already: it has a hang-up to expect.
    pub(super) fn expecting_hang_up(mut self) -> Self {
        self.writer_openings = self.writer_openings.wrapping_sub(1);
        self
    }

    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.reads && pipe.readers.fetch_sub(1, Ordering::SeqCst) == 1 {
            pipe.writable.wake_all();
            pipe.pollee.notify(IoEvents::ERR | IoEvents::OUT | IoEvents::WRNORM);
        }
        if self.writes && pipe.writers.fetch_sub(1, Ordering::SeqCst) == 1 {
            pipe.readable.wake_all();
            pipe.pollee.notify(IoEvents::HUP | IoEvents::IN | IoEvents::RDNORM);
        }
    }
}

impl FileOps for PipeEnd {
    fn kept_bytes(&self, _file: &OpenFile) -> usize {
        // Half for each end.
        self.pipe.bytes.load(Ordering::SeqCst) / 2
    }

    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let pipe = &*self.pipe;
        if writer.remaining() == 0 {
            return Ok(0);
        }
        loop {
            // Looked at first: whatever the last writer wrote before it closed is then seen below.
            let has_writers = pipe.writers() > 0;
            let read = pipe.take(writer)?;
            if read > 0 {
                return Ok(read);
            }
            if !has_writers {
                return Ok(0);
            }
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            wait::wait_until(&pipe.readable, None, || {
                (pipe.has_bytes() || pipe.writers() == 0).then_some(())
            })?;
        }
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let pipe = &*self.pipe;
        let mut total = 0;
        let short = |total: usize, errno: Errno| if total > 0 { Ok(total) } else { Err(errno.into()) };
        while reader.remaining() > 0 {
            if pipe.readers() == 0 {
                return short(total, Errno::EPIPE);
            }
            let mut ring = pipe.ring.lock();
            let written = match ring.write(reader, file.flags() & O_DIRECT != 0) {
                Ok(written) => written,
                Err(error) => return short(total, error.errno()),
            };
            pipe.publish(&ring);
            let is_full = ring.is_full();
            drop(ring);
            total += written;
            if written > 0 {
                pipe.announce_bytes();
            }
            if reader.remaining() == 0 {
                break;
            }
            if !is_full {
                return short(total, Errno::EFAULT);
            }
            if file.is_nonblocking() {
                return short(total, Errno::EAGAIN);
            }
            let woken = wait::wait_until(&pipe.writable, None, || {
                (pipe.has_room() || pipe.readers() == 0).then_some(())
            });
            if let Err(error) = woken {
                return short(total, error.errno());
            }
        }
        Ok(total)
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        let pipe = &*self.pipe;
        let mut events = IoEvents::empty();
        if self.reads {
            if pipe.has_bytes() {
                events |= IoEvents::IN | IoEvents::RDNORM;
            }
            if pipe.writers() == 0 && pipe.writer_openings.load(Ordering::SeqCst) != self.writer_openings {
                events |= IoEvents::HUP;
            }
        }
        if self.writes {
            if pipe.has_room() {
                events |= IoEvents::OUT | IoEvents::WRNORM;
            }
            if pipe.readers() == 0 {
                events |= IoEvents::ERR;
            }
        }
        events
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.pipe.pollee)
    }

    fn ioctl(
        &self,
        _file: &OpenFile,
        command: u32,
        argument: usize,
        _context: &mut Context<'_>,
    ) -> Result<isize> {
        match command {
            FIONREAD => {
                let bytes = self.pipe.bytes.load(Ordering::SeqCst);
                UserPtr::<i32>::new(argument).write(&(bytes as i32)).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    fn fcntl(&self, _file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
        match command {
            F_GETPIPE_SZ => Ok(self.pipe.capacity() as isize),
            F_SETPIPE_SZ => {
                let thread = Thread::current().ok_or(Errno::EPERM)?;
                let capacity = self.pipe.set_capacity(argument, &thread.process().credentials())?;
                Ok(capacity as isize)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }
}
