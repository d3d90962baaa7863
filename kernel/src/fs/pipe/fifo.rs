//! Opening a FIFO (fifo(7)): an opener for one direction waits for the other.

use super::{PipeEnd, registry};
use crate::error::{Errno, Result};
use crate::fs::open_file::FileOps;
use crate::fs::open_file::flags::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use crate::fs::pseudo;
use crate::fs::vfs::inode::Inode;
use crate::fs::vfs::open;
use crate::fs::vfs::place::Path;
use crate::thread::wait;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Tells the VFS who opens FIFOs.
pub fn register() {
    open::set_fifo_opener(open_fifo);
}

fn open_fifo(path: &Path, inode: &Arc<dyn Inode>, flags: u32) -> Result<Arc<dyn FileOps>> {
    let pipe = registry::find_or_make(inode);
    let is_nonblocking = flags & O_NONBLOCK != 0;
    // A pipe opened by /proc/PID/fd/N had both ends from the start, even if one is closed by now.
    let is_pipe = pseudo::contains(path);
    match flags & O_ACCMODE {
        O_RDONLY => {
            let openings = pipe.writer_openings.load(Ordering::SeqCst);
            let end = PipeEnd::new(pipe.clone(), true, false);
            pipe.opened.wake_all();
            if is_pipe || pipe.writers() > 0 {
                return Ok(Arc::new(end.expecting_hang_up()));
            }
            if is_nonblocking {
                return Ok(Arc::new(end));
            }
            // A writer that came and went again counts.
            wait::wait_until(&pipe.opened, None, || {
                (pipe.writer_openings.load(Ordering::SeqCst) != openings).then_some(())
            })?;
            Ok(Arc::new(end.expecting_hang_up()))
        }
        O_WRONLY => {
            if is_nonblocking && !is_pipe && pipe.readers() == 0 {
                return Err(Errno::ENXIO.into());
            }
            let openings = pipe.reader_openings.load(Ordering::SeqCst);
            let end = PipeEnd::new(pipe.clone(), false, true);
            pipe.opened.wake_all();
            if !is_pipe && pipe.readers() == 0 {
                wait::wait_until(&pipe.opened, None, || {
                    (pipe.reader_openings.load(Ordering::SeqCst) != openings).then_some(())
                })?;
            }
            Ok(Arc::new(end))
        }
        O_RDWR => {
            let end = PipeEnd::new(pipe.clone(), true, true);
            pipe.opened.wake_all();
            Ok(Arc::new(end))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
