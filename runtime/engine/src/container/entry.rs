//! [`Entry`]: one container in the engine's memory, and [`Record`], what is kept of it on disk.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::Error;
use crate::models::{ContainerConfig, EndpointSettings, Health, HostConfig, PortMap};
use crate::network::Link;
use crate::shim::client::Shim;
use crate::shim::protocol::{Attach, Size};
use crate::shim::{read_json, write_json};
use crate::time::Time;

const RECORD: &str = "container.json";

/// A container.
#[derive(Debug)]
pub struct Entry {
    pub id: String,
    pub folder: PathBuf,
    record: Mutex<Record>,
    /// Held by whatever starts, ends or removes it.
    pub lifecycle: tokio::sync::Mutex<()>,
    /// What those that wait look at.
    pub moment: watch::Sender<Moment>,
    /// Ends the pause before a restart.
    pub wake: Notify,
    /// Clients that attached before it was started.
    pub pending: Mutex<Vec<(UnixStream, Attach)>>,
    /// The size that its terminal will have.
    pub window: Mutex<Option<Size>>,
    /// The process of its health check that was measured since it was started.
    pub measured_check: Mutex<Option<[u8; 48]>>,
    /// The tasks of its name server.
    pub name_server: Mutex<Option<JoinSet<()>>>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub is_running: bool,
    /// How often it has ended.
    pub exits: u64,
    pub exit_code: i64,
    pub error: Option<String>,
    /// Why it could not be removed at last.
    pub removal_error: Option<String>,
    pub is_removed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether it has processes.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub status: Status,
    pub pid: i32,
    pub exit_code: i64,
    pub error: String,
    pub started: Option<Time>,
    pub finished: Option<Time>,
    /// Stopped by its user: restart policies leave it alone.
    pub was_stopped: bool,
    /// Its memory was full, and the kernel has ended something in it.
    #[serde(default)]
    pub was_oom_killed: bool,
    pub restart_count: i64,
    /// What its health check has found, if it has one.
    #[serde(default)]
    pub health: Option<Health>,
}

/// Something of the machine, or a tmpfs, in the container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MountRecord {
    pub kind: MountKind,
    pub destination: String,
    pub is_writable: bool,
    /// As the user wrote it: `z`, `nocopy` …
    pub mode: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum MountKind {
    Bind { source: PathBuf },
    Volume { name: String, is_anonymous: bool, copies: bool },
    Tmpfs { options: Vec<String> },
}

/// Everything about a container that outlives the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub name: String,
    pub created: Time,
    /// `sha256:…`
    pub image: String,
    /// The digest that a registry knows the image by, if it came by one.
    pub manifest: Option<String>,
    pub config: ContainerConfig,
    pub host_config: HostConfig,
    pub path: String,
    pub args: Vec<String>,
    pub mounts: Vec<MountRecord>,
    pub endpoints: HashMap<String, EndpointSettings>,
    /// What is published where, while it runs.
    pub ports: PortMap,
    pub links: Vec<Link>,
    pub state: State,
    /// Whether volumes have their share of the image's files already.
    pub has_copied: bool,
}

/// The folder of the overlay of the container in `folder`.
pub fn snapshot_in(folder: &Path) -> PathBuf {
    folder.join("fs")
}

impl Entry {
    pub fn new(folder: PathBuf, record: Record) -> Self {
        let moment = Moment {
            is_running: record.state.status.is_alive(),
            exit_code: record.state.exit_code,
            error: (!record.state.error.is_empty()).then(|| record.state.error.clone()),
            ..Moment::default()
        };
        Self {
            id: record.id.clone(),
            folder,
            record: Mutex::new(record),
            lifecycle: tokio::sync::Mutex::default(),
            moment: watch::Sender::new(moment),
            wake: Notify::new(),
            pending: Mutex::default(),
            window: Mutex::default(),
            measured_check: Mutex::default(),
            name_server: Mutex::default(),
        }
    }

    pub fn load(folder: &Path) -> Result<Self, Error> {
        Ok(Self::new(folder.to_owned(), read_json(&folder.join(RECORD))?))
    }

    /// Whether a folder is a container's: its record goes with the folder's last files.
    pub fn has_record(folder: &Path) -> bool {
        folder.join(RECORD).exists()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the record, in memory and on disk.
    pub fn change<T>(&self, change: impl FnOnce(&mut Record) -> T) -> Result<T, Error> {
        let mut record = self.record();
        let value = change(&mut record);
        write_json(&self.folder.join(RECORD), &*record)?;
        Ok(value)
    }

    pub fn name(&self) -> String {
        self.record().name.clone()
    }

    pub fn status(&self) -> Status {
        self.record().state.status
    }

    pub fn shim(&self) -> Shim {
        Shim::new(&self.folder)
    }

    pub fn is_terminal(&self) -> bool {
        self.record().config.tty.unwrap_or_default()
    }

    /// Where its json-file log is.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}-json.log", self.id))
    }

    /// The folder of the overlay.
    pub fn snapshot_folder(&self) -> PathBuf {
        snapshot_in(&self.folder)
    }

    /// The labels, name and image that events of it carry.
    pub fn attributes(&self) -> HashMap<String, String> {
        let record = self.record();
        let mut attributes = record.config.labels.clone().unwrap_or_default();
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.insert("image".to_owned(), record.config.image.clone().unwrap_or_default());
        attributes
    }
}
