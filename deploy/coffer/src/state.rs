//! What is kept of each machine: a folder of its name below `$XDG_DATA_HOME/coffer/machines`, with [`Record`] in `machine.json`
//! beside keys, console log and control socket.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context as _, bail, ensure};
use coffer_qemu::Places;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// Names of the files that QEMU makes.
pub const PLACES: Places = Places { console: "console.log", control: "control.sock", pid: "qemu.pid" };

/// Names of the files that this program makes.
pub const CONFIGURATION_DISK: &str = "configuration.img";
pub const CLIENT_CERTIFICATE: &str = "cert.pem";
pub const CLIENT_KEY: &str = "key.pem";
pub const SERVER_CERTIFICATE: &str = "ca.pem";
const RECORD: &str = "machine.json";

/// The longest name: it is also the machine's host name and part of file names.
const NAME_LIMIT: usize = 40;

/// What there is to know of a machine once it has been launched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    /// The docker context's name; none of a sealed machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Where the API is: `tcp://127.0.0.1:port`; nowhere, of a sealed machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Where it shows evidence: `127.0.0.1:port`.
    #[serde(default)]
    pub evidence: Option<String>,
    /// SHA-256 of the server's certificate.
    pub fingerprint: String,
    pub image: PathBuf,
    pub cpus: u32,
    pub memory_mib: u32,
    /// RFC 3339.
    pub created: String,
    /// Of a simulated trust domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulator: Option<SimulatorRecord>,
}

/// What `coffer verify` and `coffer attest` have to be told for them to take a simulated trust domain's quotes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SimulatorRecord {
    /// `--trust-root`.
    pub trust_root: PathBuf,
    /// `--collateral`.
    pub collateral: PathBuf,
}

/// A machine's folder.
#[derive(Clone, Debug)]
pub struct Home {
    pub name: String,
    folder: PathBuf,
}

impl Home {
    /// The folder of the machine called `name`, whether it exists or not.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), folder: machines()?.join(name) })
    }

    /// The machine called `name`, which must exist.
    pub fn existing(name: &str) -> anyhow::Result<Self> {
        let home = Self::of(name)?;
        ensure!(home.folder.is_dir(), "no machine is called `{name}` (`coffer ls` lists them)");
        Ok(home)
    }

    /// All machines, by name.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let folder = machines()?;
        let mut names = match fs::read_dir(&folder) {
            Ok(entries) => {
                entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", folder.display())),
        };
        names.sort();
        Ok(names.iter().filter_map(|name| Self::of(name).ok()).collect())
    }

    /// Makes the folder, which nobody else may read.
    pub fn create(&self) -> anyhow::Result<()> {
        let parent = machines()?;
        fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "a machine called `{}` exists already: choose another --name, or remove it (`coffer rm {}`)",
                self.name,
                self.name
            ),
            result => result.with_context(|| format!("cannot create {}", self.folder.display())),
        }
    }

    /// Removes the folder and everything in it.
    pub fn remove(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file that only its owner may read: as a whole, or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// None for a machine whose launch was not finished.
    pub fn record(&self) -> anyhow::Result<Option<Record>> {
        let path = self.path(RECORD);
        match File::open(&path) {
            Ok(file) => serde_json::from_reader(file)
                .map(Some)
                .with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub fn write_record(&self, record: &Record) -> anyhow::Result<()> {
        self.write(RECORD, &serde_json::to_vec_pretty(record)?)
    }

    /// QEMU's process, if it runs. Its number may be somebody else's by now, which its working folder tells.
    pub fn process(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.path(PLACES.pid)).ok()?;
        let pid: i32 = text.trim().parse().ok()?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let disk = self.path(CONFIGURATION_DISK);
        let disk = disk.as_os_str().as_encoded_bytes();
        let is_ours = arguments.windows(disk.len()).any(|window| window == disk);
        is_ours.then(|| Pid::from_raw(pid)).flatten()
    }

    /// Ends QEMU, as pulling the plug would.
    pub fn kill(&self) -> anyhow::Result<()> {
        if let Some(pid) = self.process() {
            kill_process(pid, Signal::KILL)
                .with_context(|| format!("cannot end the machine `{}`", self.name))?;
            ensure!(self.wait_for_end(Duration::from_secs(5)), "the machine `{}` does not end", self.name);
        }
        Ok(())
    }

    /// Waits until QEMU has ended, but no longer than that.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.process().is_some() {
            if start.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// What the machine has written to its console so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path(PLACES.console)).unwrap_or_default()).into_owned()
    }
}

/// Fails for what cannot be a host name and part of file names.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let is_sound = (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    ensure!(
        is_sound,
        "`{name}` cannot be a machine's name: at most {NAME_LIMIT} lower-case letters, digits and inner hyphens"
    );
    Ok(())
}

fn machines() -> anyhow::Result<PathBuf> {
    Ok(data()?.join("coffer/machines"))
}

/// Where programs keep what they need again.
pub fn data() -> anyhow::Result<PathBuf> {
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    match data {
        Some(data) => Ok(data),
        None => Ok(env::home_dir().context("neither XDG_DATA_HOME nor HOME is set")?.join(".local/share")),
    }
}

#[cfg(test)]
mod tests {
    use super::Home;

    #[test]
    fn names_are_safe_as_host_and_file_names() {
        assert!(Home::of("demo-2").is_ok());
        for name in ["", "-a", "a-", "A", "a/b", "..", "a.b", &"x".repeat(41)] {
            assert!(Home::of(name).is_err(), "{name}");
        }
    }
}
