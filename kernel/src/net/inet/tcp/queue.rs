//! Bytes of a stream on their way from one end of a connection to the other.

use crate::error::{Errno, Error, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// A chunk that small writes share is this long.
const SHARED: usize = 2048;

/// Bytes in order, in chunks. One task reads at a time ([`ByteQueue::take`] and [`ByteQueue::put_back`]); anybody may write.
#[derive(Debug)]
pub struct ByteQueue {
    chunks: SpinLock<Chunks>,
    /// Bytes that nobody has read; those that were taken to be read count until they are.
    unread: AtomicUsize,
}

#[derive(Debug)]
struct Chunks {
    queue: VecDeque<Chunk>,
    is_closed: bool,
    /// A chunk that was read, for the next small write: most connections carry one message at a time.
    spare: Option<Vec<u8>>,
}

/// Some of the bytes.
#[derive(Debug)]
pub struct Chunk {
    bytes: Vec<u8>,
    start: usize,
}

impl Chunk {
    /// All of `bytes`.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// Bytes not yet read.
    pub fn left(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Marks bytes as read.
    pub fn advance(&mut self, bytes: usize) {
        self.start += bytes;
    }
}

impl ByteQueue {
    /// Empty.
    pub const fn new() -> Self {
        let chunks = Chunks { queue: VecDeque::new(), is_closed: false, spare: None };
        Self { chunks: SpinLock::new(chunks), unread: AtomicUsize::new(0) }
    }

    /// Bytes that nobody has read.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    /// Room for `len` bytes to be pushed.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn buffer(&self, len: usize) -> Result<Vec<u8>> {
        if len <= SHARED
            && let Some(spare) = self.chunks.lock().spare.take()
        {
            return Ok(spare);
        }
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(len.max(SHARED)).map_err(|_| Error::new(Errno::ENOBUFS))?;
        Ok(buffer)
    }

    /// Adds bytes; `false` if nobody will read any more.
    pub fn push(&self, bytes: Vec<u8>) -> bool {
        let len = bytes.len();
        let mut chunks = self.chunks.lock();
        if chunks.is_closed {
            return false;
        }
        let last = chunks.queue.back_mut().map(|chunk| &mut chunk.bytes);
        let left_over = match last {
            Some(last) if len <= SHARED && last.capacity() - last.len() >= len => {
                last.extend_from_slice(&bytes);
                Some(bytes)
            }
            _ => {
                chunks.queue.push_back(Chunk::new(bytes));
                None
            }
        };
        self.unread.fetch_add(len, Ordering::SeqCst);
        drop(chunks);
        drop(left_over);
        true
    }

    /// Takes the first chunk out to read from it.
    pub fn take(&self) -> Option<Chunk> {
        self.chunks.lock().queue.pop_front()
    }

    /// Says that `read` bytes of a chunk that was taken out were read, and puts back what is left.
    pub fn put_back(&self, mut chunk: Chunk, read: usize) {
        chunk.advance(read);
        let mut chunks = self.chunks.lock();
        self.unread.fetch_sub(read, Ordering::SeqCst);
        if !chunk.left().is_empty() {
            chunks.queue.push_front(chunk);
        } else if chunk.bytes.capacity() == SHARED && chunks.spare.is_none() {
            chunk.bytes.clear();
            chunks.spare = Some(chunk.bytes);
        } else {
            drop(chunks);
            drop(chunk);
        }
    }

    /// Copies up to `len` bytes from `skip` bytes on, and leaves them.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn peek(&self, skip: usize, len: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        out.try_reserve_exact(len.min(self.unread())).map_err(|_| Error::new(Errno::ENOBUFS))?;
        let mut skip = skip;
        for chunk in &self.chunks.lock().queue {
            let left = chunk.left();
            let from = skip.min(left.len());
            skip -= from;
            // What came in since the room was made waits for the next look.
            let fits = (left.len() - from).min(len - out.len()).min(out.capacity() - out.len());
            out.extend_from_slice(&left[from..from + fits]);
        }
        Ok(out)
    }

    /// Throws away what is there, and takes no more. Returns whether something was.
    pub fn close(&self) -> bool {
        let mut chunks = self.chunks.lock();
        chunks.is_closed = true;
        let gone = (core::mem::take(&mut chunks.queue), chunks.spare.take());
        drop(chunks);
        drop(gone);
        self.unread.swap(0, Ordering::SeqCst) > 0
    }

    /// Empty, and open again.
    pub fn reopen(&self) {
        self.close();
        self.chunks.lock().is_closed = false;
    }
}
