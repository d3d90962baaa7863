//! The json-file log: a JSON object for each line of output, `{"log":"text\n","stream":"stdout","time":"…"}`, as docker writes it.
//!
//! A line longer than 16 KiB is written in pieces of that size, of which only the last ends in a newline.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::protocol::LogFile;

/// The longest piece of a line, in bytes.
const PIECE: usize = 16 << 10;

/// One object of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub log: String,
    pub stream: String,
    pub time: String,
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Its number in docker's frames.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }
}

/// The log being written.
#[derive(Debug)]
pub struct Log {
    config: LogFile,
    file: File,
    size: u64,
    /// The beginnings of lines, of each stream.
    partial: [Vec<u8>; 2],
}

impl Log {
    /// Opens it to go on where it ends.
    ///
    /// # Errors
    ///
    /// What `open(2)` returns.
    pub fn open(config: LogFile) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&config.path)?;
        let size = file.metadata()?.len();
        Ok(Self { config, file, size, partial: Default::default() })
    }

    /// Takes output; writes the lines that are complete.
    ///
    /// # Errors
    ///
    /// What writing returns.
    pub fn take(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let slot = usize::from(stream == Stream::Stderr);
        let mut partial = std::mem::take(&mut self.partial[slot]);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut piece = piece;
            while partial.len() + piece.len() > PIECE {
                let (head, tail) = piece.split_at(PIECE - partial.len());
                partial.extend_from_slice(head);
                self.write(stream, &partial)?;
                partial.clear();
                piece = tail;
            }
            partial.extend_from_slice(piece);
            if partial.ends_with(b"\n") {
                self.write(stream, &partial)?;
                partial.clear();
            }
        }
        self.partial[slot] = partial;
        Ok(())
    }

    /// Writes what is left of a stream that has ended.
    ///
    /// # Errors
    ///
    /// What writing returns.
    pub fn finish(&mut self, stream: Stream) -> io::Result<()> {
        let rest = std::mem::take(&mut self.partial[usize::from(stream == Stream::Stderr)]);
        if rest.is_empty() { Ok(()) } else { self.write(stream, &rest) }
    }

    fn write(&mut self, stream: Stream, text: &[u8]) -> io::Result<()> {
        let line = Line {
            log: String::from_utf8_lossy(text).into_owned(),
            stream: stream.name().to_owned(),
            time: crate::time::now().to_string(),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let length = bytes.len() as u64;
        if self.config.max_size.is_some_and(|limit| self.size > 0 && self.size + length > limit) {
            self.rotate()?;
        }
        self.file.write_all(&bytes)?;
        self.size += length;
        Ok(())
    }

    /// Begins a new file; what was `log` is `log.1` then.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.config.path;
        for number in (1..self.config.max_files.saturating_sub(1)).rev() {
            match std::fs::rename(rotated(path, number), rotated(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.config.max_files > 1 {
            std::fs::rename(path, rotated(path, 1))?;
        } else {
            std::fs::remove_file(path)?;
        }
        self.file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        self.size = 0;
        Ok(())
    }
}

/// The name of an older file of a log; 1 is the youngest of them.
#[must_use]
pub fn rotated(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap().log).collect()
    }

    #[test]
    fn lines_are_written_when_they_are_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(LogFile { path: path.clone(), max_size: None, max_files: 1 }).unwrap();
        log.take(Stream::Stdout, b"one\ntw").unwrap();
        log.take(Stream::Stderr, b"err").unwrap();
        assert_eq!(lines(&path), ["one\n"]);
        log.take(Stream::Stdout, b"o\n").unwrap();
        log.finish(Stream::Stderr).unwrap();
        assert_eq!(lines(&path), ["one\n", "two\n", "err"]);
        log.take(Stream::Stdout, &[b'x'; 40_000]).unwrap();
        log.take(Stream::Stdout, b"\n").unwrap();
        let lengths: Vec<usize> = lines(&path).iter().skip(3).map(String::len).collect();
        assert_eq!(lengths, [PIECE, PIECE, 40_001 - 2 * PIECE]);
    }

    #[test]
    fn old_files_are_rotated_and_the_oldest_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(LogFile { path: path.clone(), max_size: Some(100), max_files: 3 }).unwrap();
        for number in 0..6 {
            log.take(Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
        let kept: Vec<_> =
            [rotated(&path, 2), rotated(&path, 1), path.clone()].iter().flat_map(|p| lines(p)).collect();
        assert_eq!(kept, ["line 3\n", "line 4\n", "line 5\n"]);
        assert!(!rotated(&path, 3).exists());
    }
}
