//! [`Recorder`]: a source of a tar that writes the record of all that is read through it.

use std::io::{self, Read, Write};

use super::{Piece, RUN_LIMIT};
use crate::tar::Skip;

/// Reads a tar for a [`Reader`](crate::tar::Reader) and records it into `sink`.
#[derive(Debug)]
pub struct Recorder<R, W> {
    inner: R,
    sink: W,
    /// Bytes of the tar that are not written to the record yet.
    run: Vec<u8>,
    /// Data of a file that is not written to the record yet: offset and length.
    data: Option<(u64, u64)>,
    /// Bytes of data in all.
    data_length: u64,
}

impl<R: Read, W: Write> Recorder<R, W> {
    /// Starts a record.
    pub fn new(inner: R, sink: W) -> Self {
        Self { inner, sink, run: Vec::new(), data: None, data_length: 0 }
    }

    /// Records what is left of the source as it is; returns the length of all files' data in bytes.
    ///
    /// # Errors
    ///
    /// What reading or writing returns.
    pub fn finish(mut self) -> io::Result<u64> {
        io::copy(&mut self, &mut io::sink())?;
        self.flush_data()?;
        self.flush_run()?;
        self.sink.flush()?;
        Ok(self.data_length)
    }

    fn flush_run(&mut self) -> io::Result<()> {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() { Ok(()) } else { Piece::Bytes(run).write(&mut self.sink) }
    }

    fn flush_data(&mut self) -> io::Result<()> {
        match self.data.take() {
            Some((offset, length)) => Piece::Data { offset, length }.write(&mut self.sink),
            None => Ok(()),
        }
    }
}

impl<R: Read, W: Write> Read for Recorder<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.flush_data()?;
            self.run.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if self.run.len() >= RUN_LIMIT {
                self.flush_run()?;
            }
        }
        Ok(count)
    }
}

impl<R: Read, W: Write> Skip for Recorder<R, W> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match io::copy(&mut self.by_ref().take(bytes), &mut io::sink())? {
            passed if passed == bytes => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn begin_file(&mut self, path: &[u8]) -> io::Result<()> {
        self.flush_data()?;
        self.flush_run()?;
        Piece::File(path.to_vec()).write(&mut self.sink)
    }

    fn read_data(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.flush_run()?;
        self.inner.read_exact(buffer)?;
        let length = buffer.len() as u64;
        self.data_length = self.data_length.saturating_add(length);
        match &mut self.data {
            Some((start, done)) if start.checked_add(*done) == Some(offset) => *done += length,
            _ => {
                self.flush_data()?;
                self.data = Some((offset, length));
            }
        }
        Ok(())
    }
}
