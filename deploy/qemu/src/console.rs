//! The serial console: every line goes to a log file, to a callback and into memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::Error;

/// Is given each line as it arrives, without its end.
pub type OnLine = Box<dyn FnMut(&str) + Send>;

/// What the guest has written to its serial port so far.
#[derive(Debug)]
pub struct Console {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Console {
    pub(crate) fn capture(
        source: impl Read + Send + 'static,
        log: Option<&Path>,
        mut on_line: OnLine,
    ) -> Result<Self, Error> {
        let mut log = log.map(File::create).transpose().map_err(Error::system("create the console log"))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
                if let Some(log) = &mut log {
                    // The log is a convenience: a full disk must not stop the machine.
                    let _unwritten = log.write_all(&line);
                }
                let text = readable(&line);
                on_line(&text);
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        });
        Ok(Self { lines, reader: Some(reader) })
    }

    /// The last `count` lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines[lines.len().saturating_sub(count)..].to_vec()
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.tail(usize::MAX)
    }

    /// Waits until the last line has arrived; only sensible once the machine has ended.
    pub(crate) fn drain(&mut self) {
        if let Some(reader) = self.reader.take() {
            // A callback that panicked has already said so.
            let _panicked = reader.join();
        }
    }
}

/// The line as text that may be shown: without the control characters by which a guest, or its firmware, would move the
/// cursor of the caller's terminal. The log has the bytes as they came.
fn readable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|&character| character == '\t' || !character.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Console;

    #[test]
    fn lines_are_split_and_odd_bytes_kept_readable() {
        let mut console =
            Console::capture(&b"one\r\n\x1bt\two\n\xffthree"[..], None, Box::new(|_| {})).unwrap();
        console.drain();
        assert_eq!(console.lines(), ["one", "t\two", "\u{fffd}three"]);
        assert_eq!(console.tail(1), ["\u{fffd}three"]);
    }
}
