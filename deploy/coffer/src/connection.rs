//! [`Connection`]: what is kept of a machine that `connect` has verified, in a folder of its name below `$XDG_DATA_HOME/coffer/connections`: the key that is
//! pinned, copies of what it is judged by, the client's certificate, and the proxy's socket.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::state;

/// Names of its files.
pub const CERTIFICATE: &str = "cert.pem";
pub const KEY: &str = "key.pem";
pub const SOCKET: &str = "docker.sock";
pub const LOG: &str = "proxy.log";
const PROCESS: &str = "proxy.pid";
const RECORD: &str = "connection.json";

/// What is known of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// `host:port` of its evidence.
    pub evidence: String,
    /// `host:port` of its API.
    pub api: String,
    /// The key that it must have (SubjectPublicKeyInfo), in hexadecimal.
    pub key: String,
    /// The docker context's name.
    pub context: String,
}

/// A connection's folder.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: String,
    folder: PathBuf,
}

impl Connection {
    /// The folder of the connection called `name`, whether it exists or not.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        state::check_name(name)?;
        Ok(Self { name: name.to_owned(), folder: state::data()?.join("coffer/connections").join(name) })
    }

    /// Makes the folder anew, which nobody else may read. An earlier connection's proxy ends.
    pub fn create(&self) -> anyhow::Result<()> {
        self.remove()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))
    }

    /// Ends the proxy and removes the folder. One that is gone is fine.
    pub fn remove(&self) -> anyhow::Result<()> {
        if let Some(process) = self.process() {
            kill_process(process, Signal::TERM)
                .with_context(|| format!("cannot end the proxy of `{}`", self.name))?;
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        let write = || {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?
                .write_all(bytes)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn write_record(&self, record: &Record) -> anyhow::Result<()> {
        self.write(RECORD, &serde_json::to_vec_pretty(record)?)
    }

    pub fn record(&self) -> anyhow::Result<Record> {
        let path = self.path(RECORD);
        let file = File::open(&path).with_context(|| format!("nothing is connected as `{}`", self.name))?;
        serde_json::from_reader(file).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Keeps the proxy's number, which is this process's.
    pub fn write_process(&self) -> anyhow::Result<()> {
        self.write(PROCESS, std::process::id().to_string().as_bytes())
    }

    /// The proxy, if it runs. Its number may be somebody else's by now, which its arguments tell.
    fn process(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(self.path(PROCESS)).ok()?.trim().parse().ok()?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        let is_ours = words.contains(&b"proxy".as_slice()) && words.contains(&self.name.as_bytes());
        is_ours.then(|| Pid::from_raw(pid)).flatten()
    }

    /// Waits until the proxy answers.
    pub fn wait(&self, patience: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.connect().is_err() {
            ensure!(
                start.elapsed() < patience,
                "the proxy does not come up; {} has what it says",
                self.path(LOG).display()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The path of the folder may be longer than the address of a unix socket; its descriptor's name is not.
    fn connect(&self) -> io::Result<UnixStream> {
        let folder = File::open(&self.folder)?;
        UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
    }
}
