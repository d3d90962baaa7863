//! Logs: the json-file of a container and its older files, read back in order, and followed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::entry::Entry;
use super::{Logs, LogsOptions};
use crate::engine::blocking;
use crate::shim::log::{Line, Stream, rotated};
use crate::shim::session::frame_header;
use crate::time::Time;
use crate::{Engine, Error};

/// How often a log that is followed is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How many lines are read in one go.
const BATCH: usize = 256;

/// Which lines, and how they look.
#[derive(Clone, Debug)]
struct Choice {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    since: Option<Time>,
    until: Option<Time>,
    tail: Option<usize>,
    is_terminal: bool,
}

impl Engine {
    /// Gives its logs.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for times and with neither stream, [`Error::Unsupported`] for a container without logs.
    pub async fn container_logs(&self, reference: &str, options: LogsOptions) -> Result<Logs, Error> {
        let entry = self.find(reference)?;
        if !options.stdout && !options.stderr {
            return Err(Error::Invalid("Bad parameters: you must choose at least one stream".to_owned()));
        }
        let log = entry.record().host_config.log_config.clone().unwrap_or_default();
        if super::create::log_options(&log)?.is_none() {
            return Err(Error::Unsupported(
                "reading the logs of a container with the log driver `none`".to_owned(),
            ));
        }
        let is_terminal = entry.is_terminal();
        let choice = Choice {
            stdout: options.stdout,
            stderr: options.stderr,
            timestamps: options.timestamps,
            since: Time::parse_optional(options.since.as_deref())?,
            until: Time::parse_optional(options.until.as_deref())?,
            tail: options.tail.and_then(|tail| tail.parse().ok()),
            is_terminal,
        };
        let (sender, frames) = mpsc::channel(16);
        tokio::spawn(async move {
            // The stream ends where reading fails; there is no place in it to say why.
            if let Err(error) = send(entry, choice, options.follow, &sender).await {
                eprintln!("engine: {error}");
            }
        });
        Ok(Logs { is_terminal, frames })
    }
}

async fn send(
    entry: Arc<Entry>,
    choice: Choice,
    follow: bool,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    let mut moment = entry.moment.subscribe();
    let mut reader = {
        let (path, choice) = (entry.log_path(), choice.clone());
        let (reader, lines) = blocking(move || Reader::open(&path, &choice)).await?;
        for line in lines {
            if sender.send(line).await.is_err() {
                return Ok(());
            }
        }
        reader
    };
    loop {
        // Looked at before reading: what a container wrote before it ended is there when it has.
        let has_ended = {
            let moment = moment.borrow_and_update();
            !moment.is_running || moment.is_removed
        };
        let choice = choice.clone();
        let (back, lines) = blocking(move || {
            let lines = reader.more(&choice)?;
            Ok((reader, lines))
        })
        .await?;
        reader = back;
        let is_empty = lines.is_empty();
        for line in lines {
            if sender.send(line).await.is_err() {
                return Ok(());
            }
        }
        if is_empty && (!follow || has_ended || reader.is_past_until) {
            return Ok(());
        }
        if is_empty {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = moment.changed() => {}
                () = sender.closed() => return Ok(()),
            }
        }
    }
}

/// Where reading has come to: always in the youngest file.
#[derive(Debug)]
struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    partial: Vec<u8>,
    is_past_until: bool,
}

impl Reader {
    /// Opens the log. With a `tail` gives the last lines of all files; without, those of the older files.
    fn open(path: &Path, choice: &Choice) -> Result<(Self, Vec<Bytes>), Error> {
        let mut reader =
            Self { path: path.to_owned(), file: None, partial: Vec::new(), is_past_until: false };
        let mut number = 1;
        while rotated(path, number).exists() {
            number += 1;
        }
        let mut last = VecDeque::new();
        for number in (1..number).rev() {
            reader.file = open(&rotated(path, number))?;
            reader.take_all(choice, &mut last)?;
        }
        reader.file = open(path)?;
        if choice.tail.is_some() {
            reader.take_all(choice, &mut last)?;
        }
        Ok((reader, last.into()))
    }

    fn take_all(&mut self, choice: &Choice, last: &mut VecDeque<Bytes>) -> Result<(), Error> {
        loop {
            let lines = self.read(choice)?;
            if lines.is_empty() {
                return Ok(());
            }
            last.extend(lines);
            let surplus = choice.tail.map_or(0, |tail| last.len().saturating_sub(tail));
            last.drain(..surplus);
        }
    }

    /// What has come since, in a younger file, too.
    fn more(&mut self, choice: &Choice) -> Result<Vec<Bytes>, Error> {
        let lines = self.read(choice)?;
        if lines.is_empty() && self.was_rotated()? {
            self.file = open(&self.path)?;
            self.partial.clear();
            return self.read(choice);
        }
        Ok(lines)
    }

    fn was_rotated(&self) -> Result<bool, Error> {
        use std::os::unix::fs::MetadataExt;
        let Ok(current) = std::fs::metadata(&self.path) else { return Ok(false) };
        let Some(file) = &self.file else { return Ok(true) };
        let ours = file.get_ref().metadata().map_err(failed)?;
        Ok(ours.ino() != current.ino())
    }

    /// Some lines; none at the end of the file. Lines that are not wanted are passed over.
    fn read(&mut self, choice: &Choice) -> Result<Vec<Bytes>, Error> {
        let mut lines = Vec::new();
        let Some(file) = &mut self.file else { return Ok(lines) };
        while lines.len() < BATCH && !self.is_past_until {
            let count = file.read_until(b'\n', &mut self.partial).map_err(failed)?;
            if !self.partial.ends_with(b"\n") {
                if count == 0 {
                    // A buffered reader that saw the end looks again only from a known place.
                    let at = file.stream_position().map_err(failed)?;
                    file.seek(SeekFrom::Start(at)).map_err(failed)?;
                }
                break;
            }
            let line = std::mem::take(&mut self.partial);
            // A line cut short by a full disk is passed over.
            let Ok(line) = serde_json::from_slice::<Line>(&line) else { continue };
            match choice.encode(&line) {
                Verdict::Wanted(bytes) => lines.push(bytes),
                Verdict::Passed => {}
                Verdict::Past => self.is_past_until = true,
            }
        }
        Ok(lines)
    }
}

enum Verdict {
    Wanted(Bytes),
    Passed,
    Past,
}

impl Choice {
    fn encode(&self, line: &Line) -> Verdict {
        let stream = if line.stream == Stream::Stderr.name() { Stream::Stderr } else { Stream::Stdout };
        let is_wanted = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if self.since.is_some() || self.until.is_some() {
            let time = Time::parse(&line.time).unwrap_or_default();
            if self.until.is_some_and(|until| time > until) {
                return Verdict::Past;
            }
            if self.since.is_some_and(|since| time < since) {
                return Verdict::Passed;
            }
        }
        if !is_wanted {
            return Verdict::Passed;
        }
        let time = if self.timestamps { format!("{} ", line.time) } else { String::new() };
        let length = time.len() + line.log.len();
        let mut bytes = Vec::with_capacity(length + 8);
        if !self.is_terminal {
            bytes.extend(frame_header(stream.number(), length));
        }
        bytes.extend(time.bytes());
        bytes.extend(line.log.bytes());
        Verdict::Wanted(bytes.into())
    }
}

fn open(path: &Path) -> Result<Option<BufReader<File>>, Error> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::system("read the logs")(error)
}
