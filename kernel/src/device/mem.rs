//! The memory devices: null, zero, full, random, urandom and kmsg (null(4), random(4), full(4)).

use super::registry;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::IoEvents;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::vfs::place::Path;
use crate::mm::page_cache::PageCache;
use crate::random;
use crate::syscall::UserPtr;
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::Lazy;

/// Major number of these devices.
const MAJOR: u32 = 1;
/// RNDGETENTCNT.
const RNDGETENTCNT: u32 = 0x8004_5200;
/// RNDADDTOENTCNT.
const RNDADDTOENTCNT: u32 = 0x4004_5201;
/// RNDRESEEDCRNG.
const RNDRESEEDCRNG: u32 = 0x5207;

#[derive(Debug)]
struct Null;

#[derive(Debug)]
struct Zero {
    is_full: bool,
    /// What a mapping shows: zeros without end. Private mappings copy on write; a shared one is memory of this opening.
    pages: PageCache,
}

#[derive(Debug)]
struct Random;

#[derive(Debug)]
struct Kmsg;

static NULL: Lazy<Arc<dyn FileOps>> = Lazy::new(|| Arc::new(Null));
static RANDOM: Lazy<Arc<dyn FileOps>> = Lazy::new(|| Arc::new(Random));
static KMSG: Lazy<Arc<dyn FileOps>> = Lazy::new(|| Arc::new(Kmsg));

/// Registers them all.
///
/// # Errors
/// EEXIST if a number is taken.
pub fn register() -> Result<()> {
    let shared = |ops: &'static Lazy<Arc<dyn FileOps>>| move |_: &Path, _: u64, _: u32| Ok((**ops).clone());
    registry::register_char_with(MAJOR, 3, "null", 0o666, shared(&NULL))?;
    registry::register_char_with(MAJOR, 5, "zero", 0o666, |_, _, _| Ok(Zero::open(false)))?;
    registry::register_char_with(MAJOR, 7, "full", 0o666, |_, _, _| Ok(Zero::open(true)))?;
    registry::register_char_with(MAJOR, 8, "random", 0o666, shared(&RANDOM))?;
    registry::register_char_with(MAJOR, 9, "urandom", 0o666, shared(&RANDOM))?;
    registry::register_char_with(MAJOR, 11, "kmsg", 0o644, shared(&KMSG))
}

impl FileOps for Null {
    fn read(&self, _: &OpenFile, _: &mut VmWriter<'_>) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, _: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        Ok(swallow(reader))
    }

    fn read_at(&self, _: &OpenFile, _: u64, _: &mut VmWriter<'_>) -> Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _: &OpenFile, _: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        Ok(swallow(reader))
    }

    fn seek(&self, _: &OpenFile, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }
}

impl Zero {
    fn open(is_full: bool) -> Arc<dyn FileOps> {
        let pages = PageCache::in_memory();
        pages.truncate(i64::MAX as u64);
        Arc::new(Self { is_full, pages })
    }
}

impl FileOps for Zero {
    fn read(&self, _: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let len = writer.remaining();
        Ok(writer.write_zeros(len)?)
    }

    fn write(&self, _: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        if self.is_full {
            return Err(Errno::ENOSPC.into());
        }
        Ok(swallow(reader))
    }

    fn read_at(&self, file: &OpenFile, _: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.read(file, writer)
    }

    fn write_at(&self, file: &OpenFile, _: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.write(file, reader)
    }

    fn seek(&self, _: &OpenFile, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }

    fn page_cache<'a>(&'a self, _: &'a OpenFile) -> Result<&'a PageCache> {
        Ok(&self.pages)
    }
}

impl FileOps for Random {
    fn read(&self, _: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut total = 0;
        let mut bytes = [0; 256];
        while writer.remaining() > 0 && !(total > 0 && is_interrupted()) {
            let len = writer.remaining().min(bytes.len());
            random::fill(&mut bytes[..len]);
            match writer.write(&bytes[..len]) {
                Ok(written) => {
                    total += written;
                    if written < len {
                        break;
                    }
                }
                Err(error) if total == 0 => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    fn write(&self, _: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        // Anyone may write here: it is stirred in, and can only add to what the generator has.
        let mut bytes = [0; 256];
        let mut total = 0;
        while reader.remaining() > 0 && !(total > 0 && is_interrupted()) {
            let len = match reader.read(&mut bytes) {
                Ok(len) => len,
                Err(error) if total == 0 => return Err(error.into()),
                Err(_) => break,
            };
            random::stir(&bytes[..len]);
            total += len;
        }
        Ok(total)
    }

    fn read_at(&self, file: &OpenFile, _: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.read(file, writer)
    }

    fn write_at(&self, file: &OpenFile, _: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.write(file, reader)
    }

    fn seek(&self, _: &OpenFile, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }

    fn ioctl(&self, _: &OpenFile, command: u32, argument: usize, _: &mut Context<'_>) -> Result<isize> {
        match command {
            RNDGETENTCNT => UserPtr::<i32>::new(argument).write(&256)?,
            RNDADDTOENTCNT | RNDRESEEDCRNG => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        Ok(0)
    }
}

impl FileOps for Kmsg {
    fn read(&self, _: &OpenFile, _: &mut VmWriter<'_>) -> Result<usize> {
        // The log is a stream to the console; nothing is kept to read back.
        Err(Errno::EAGAIN.into())
    }

    fn write(&self, _: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        /// The longest record (Linux: LOG_LINE_MAX).
        const LINE_MAX: usize = 992;
        if reader.remaining() > LINE_MAX {
            return Err(Errno::EINVAL.into());
        }
        let mut bytes = [0; LINE_MAX];
        let len = reader.read(&mut bytes)?;
        let text = alloc::string::String::from_utf8_lossy(&bytes[..len]);
        // A priority `<n>` may come first.
        let text =
            text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(&*text, |(_, rest)| rest);
        log::info!("{}", text.trim_end());
        Ok(len)
    }

    fn seek(&self, _: &OpenFile, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }

    fn poll(&self, _: &OpenFile) -> IoEvents {
        IoEvents::OUT | IoEvents::WRNORM
    }
}

/// Whether a signal waits: random(4) may be asked for gigabytes.
fn is_interrupted() -> bool {
    Thread::current().is_some_and(|thread| thread.has_pending_signal())
}

fn swallow(reader: &mut VmReader<'_>) -> usize {
    let len = reader.remaining();
    reader.skip(len);
    len
}
