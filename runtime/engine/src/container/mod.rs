//! Containers: one verb, one file. [`entry`] is what the engine knows of one.

mod archive;
pub(crate) mod attach;
mod changes;
mod copy;
mod create;
pub(crate) mod entry;
mod health;
mod inspect;
mod limits;
mod list;
mod logs;
mod mounts;
mod names;
mod remove;
mod run;
pub(crate) mod security;
mod sharing;
mod signals;
mod start;
mod stats;
mod stop;
mod top;
mod update;
mod validate;
mod wait;

pub(crate) use self::list::until;
pub(crate) use self::start::host_name;
use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::models::ContainerWaitResponse;
use crate::{Engine, Filters};

/// Whether a verb had anything to do; if not, the answer is 304.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Done,
    AlreadySo,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

/// A connection with the streams of a process.
///
/// What is read from `stream` goes to the client as it is: docker's frames, or the bytes of a terminal. What the client sends goes in as it
/// is; shutting the write side down is the end of its input. The stream ends after the last byte of output.
#[derive(Debug)]
pub struct Attachment {
    /// Whether the stream is that of a terminal (`application/vnd.docker.raw-stream`).
    pub is_terminal: bool,
    /// What comes first (`logs=1`), already in frames.
    pub logs: Option<Logs>,
    pub stream: UnixStream,
    /// Becomes true when the process's exit code is known, where that is asked for after the stream.
    pub ended: Option<watch::Receiver<bool>>,
}

/// What to attach to, and how.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Whether to go on with what comes; false gives only the logs.
    pub stream: bool,
    /// Whether what was is told first.
    pub logs: bool,
    pub detach_keys: Option<String>,
}

/// Which logs.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    pub stdout: bool,
    pub stderr: bool,
    pub follow: bool,
    pub timestamps: bool,
    /// Seconds since the epoch with a fraction, or RFC 3339.
    pub since: Option<String>,
    pub until: Option<String>,
    /// A number of lines; everything else is all of them.
    pub tail: Option<String>,
}

/// Lines of logs, in docker's frames unless the container has a terminal.
#[derive(Debug)]
pub struct Logs {
    pub is_terminal: bool,
    pub(crate) frames: tokio::sync::mpsc::Receiver<Bytes>,
}

impl Logs {
    /// The next piece. None at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.frames.recv().await
    }
}

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// Only the newest so many, whether they run or not.
    pub limit: Option<usize>,
    pub size: bool,
    pub filters: Filters,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first.
    pub force: bool,
    /// Remove its anonymous volumes with it.
    pub volumes: bool,
    /// Remove a link, which Coffer does not have.
    pub link: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    NotRunning,
    NextExit,
    Removed,
}

/// A file or folder in a container, as `docker cp` wants it (the JSON of `X-Docker-Container-Path-Stat`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// The bits of Go's `os.FileMode`.
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}

/// How to unpack.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions {
    /// Refuse to replace a folder by something else, or something else by a folder.
    pub no_overwrite_dir_non_dir: bool,
    /// Keep owners (`docker cp -a`).
    pub copy_uid_gid: bool,
}

/// A wait that has begun. It notices everything that happens from now on.
#[derive(Debug)]
pub struct Wait {
    receiver: tokio::sync::oneshot::Receiver<ContainerWaitResponse>,
}

impl Wait {
    /// Waits.
    pub async fn done(self) -> ContainerWaitResponse {
        self.receiver.await.unwrap_or_default()
    }
}

impl Engine {
    /// Whether it runs. For the image store, which asks before it removes.
    #[must_use]
    pub fn is_running(&self, container: &str) -> bool {
        self.find(container).is_ok_and(|entry| entry.status().is_alive())
    }

    /// How many containers are of this image (`sha256:…`).
    #[must_use]
    pub fn containers_of_image(&self, image: &str) -> usize {
        self.all().iter().filter(|entry| entry.record().image == image).count()
    }
}
