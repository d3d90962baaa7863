//! What the engine and a shim say to each other: a line of JSON each way over a unix socket; descriptors travel with the request.

use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};

/// The socket's name in the container's folder. Paths of sockets are short, so it is.
pub const SOCKET: &str = "shim";
/// How the container ended, as [`Exit`].
pub const EXIT: &str = "exit.json";
/// What the shim was started with, as [`Bundle`], for later processes in the container.
pub const BUNDLE: &str = "bundle.json";

/// Everything that a shim needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bundle {
    pub spec: Spec,
    pub terminal: Option<Size>,
    pub open_stdin: bool,
    /// Whether the first client's end of input is the container's.
    pub stdin_once: bool,
    pub log: Option<LogFile>,
    /// The folder of the container's control group, made by the shim.
    pub cgroup: Option<PathBuf>,
    /// Files of the group and what to write to them, before anything is in it.
    #[serde(default)]
    pub limits: Vec<(String, String)>,
}

/// The json-file log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogFile {
    pub path: PathBuf,
    /// The size in bytes after which a new file is begun.
    pub max_size: Option<u64>,
    /// How many files there are at most.
    pub max_files: usize,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// What a client of a process's streams wants.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attach {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// The bytes that end the connection but not the process. Empty: none do.
    pub detach_keys: Vec<u8>,
}

/// What the engine asks for. `exec` names a process that joined; without it is the container's first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Execute the program.
    Start {},
    /// Take the descriptor that comes along as a client of the container's streams.
    Attach(Attach),
    /// Run another process; a descriptor that comes along is a client of its streams.
    Exec {
        id: String,
        process: Box<Process>,
        terminal: Option<Size>,
        attach: Option<Attach>,
    },
    Signal {
        exec: Option<String>,
        signal: i32,
    },
    Resize {
        exec: Option<String>,
        size: Size,
    },
    /// Keep the exit code of a process that joined and has ended no longer.
    Forget {
        exec: String,
    },
    /// Answer when the process has ended.
    Wait {
        exec: Option<String>,
    },
}

/// What the shim answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done {},
    /// The process as the machine sees it.
    Started {
        pid: i32,
    },
    Exit(Exit),
    Error {
        message: String,
        code: u8,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The program's own code, or 128 and the number of the signal.
    pub code: i32,
    /// Nanoseconds since the epoch.
    pub at_ns: i128,
}
