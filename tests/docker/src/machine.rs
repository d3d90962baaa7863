//! A Coffer machine as a user gets one: by `coffer launch`, with everything that this keeps in a temporary folder.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::Docker;

/// The machine's name. There is one in each folder.
const NAME: &str = "test";

/// How the machine is launched.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The `coffer` program.
    pub program: PathBuf,
    /// The folder with the built image.
    pub image: PathBuf,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Ports that containers may publish; each gets a free one of this computer's loopback.
    pub ports: Vec<u16>,
    /// A configuration file's text, if it is to have one.
    pub configuration: Option<String>,
    /// The workload that it is sealed with, if it is to be sealed.
    pub workload: Option<PathBuf>,
    /// If it is to be a trust domain.
    pub trust_domain: Option<TrustDomain>,
}

/// A trust domain on the simulated TDX module.
#[derive(Debug, Clone)]
pub struct TrustDomain {
    /// The `coffer-tdsim` program.
    pub simulator: PathBuf,
    /// Further options of its `serve`.
    pub options: Vec<String>,
}

/// A running machine. It ends when this is dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Machine {
    program: PathBuf,
    folder: PathBuf,
    _guard: Guard,
    /// What `coffer launch` has said.
    pub record: Value,
    published: Vec<(u16, String)>,
}

impl Launch {
    /// Launches the machine and waits for its API.
    ///
    /// # Errors
    /// If it does not come up; with what `coffer` said.
    pub fn launch(&self) -> anyhow::Result<Machine> {
        let folder =
            tempfile::Builder::new().prefix("coffer-").tempdir().context("no temporary folder")?.keep();
        let guard = Guard::start(&self.program, &folder, NAME)?;
        let mut machine = Machine {
            program: self.program.clone(),
            folder,
            _guard: guard,
            record: Value::Null,
            published: Vec::new(),
        };
        let mut command = machine.coffer(&["--json", "launch", "--name", NAME]);
        command.arg("--image").arg(&self.image);
        command.args(["--memory", &self.memory_mib.to_string(), "--cpus", &self.cpus.to_string()]);
        if let Some(domain) = &self.trust_domain {
            command.args(["--on", "tdx-simulator", "--simulator"]).arg(domain.write(&machine.folder)?);
        }
        for guest in &self.ports {
            let host = free_port().context("no free port")?;
            command.args(["--port", &format!("{host}:{guest}")]);
            machine.published.push((*guest, format!("127.0.0.1:{host}")));
        }
        if let Some(text) = &self.configuration {
            let path = machine.folder.join("coffer.toml");
            fs::write(&path, text).context("cannot write the configuration")?;
            command.arg("--config").arg(path);
        }
        if let Some(path) = &self.workload {
            command.arg("--workload").arg(path);
        }
        let output = command.output().context("cannot start coffer")?;
        ensure!(output.status.success(), "coffer launch: {}", String::from_utf8_lossy(&output.stderr).trim());
        machine.record = serde_json::from_slice(&output.stdout).context("coffer launch prints no JSON")?;
        Ok(machine)
    }
}

impl TrustDomain {
    /// A program that is the simulator with these options.
    fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("simulator");
        let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
        let program = self.simulator.to_str().context("a path that is not text")?;
        let options: Vec<String> = self.options.iter().map(|option| quoted(option)).collect();
        fs::write(&path, format!("#!/bin/sh\nexec {} \"$@\" {}\n", quoted(program), options.join(" ")))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

impl Machine {
    /// `coffer` with these arguments, for this machine's folder.
    pub fn coffer(&self, args: &[&str]) -> Command {
        let mut command = coffer(&self.program, &self.folder);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// The docker client `program`, connected to this machine by the context that was made for it.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn docker(&self, program: &Path) -> anyhow::Result<Docker> {
        let context = self.record["context"].as_str().context("coffer launch names no context")?;
        let options = vec!["--context".into(), OsString::from(context)];
        Docker::new(program.to_owned(), options, Some(self.docker_config()), self.published.clone())
    }

    /// `DOCKER_CONFIG` of this machine's clients.
    pub fn docker_config(&self) -> PathBuf {
        docker_config(&self.folder)
    }

    /// Where the machine keeps the client's and its own certificates: `cert.pem`, `key.pem`, `ca.pem`.
    pub fn certificates(&self) -> PathBuf {
        data(&self.folder).join("coffer/machines").join(NAME)
    }

    /// Powers it off.
    ///
    /// # Errors
    /// If it does not go.
    pub fn stop(&self) -> anyhow::Result<()> {
        let output = self.coffer(&["stop", NAME]).output().context("cannot start coffer")?;
        ensure!(output.status.success(), "coffer stop: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// Ports that containers may publish: (published port, address to connect to).
    pub fn published(&self) -> &[(u16, String)] {
        &self.published
    }

    /// All of the console.
    pub fn whole_console(&self) -> String {
        let output = self.coffer(&["logs", NAME]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// The last lines of the console.
    pub fn console(&self) -> String {
        const LINES: usize = 30;
        let text = self.whole_console();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// Ends a machine and removes its folder when this is dropped, and also when this process is killed.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Does so as soon as its standard input is closed, by whatever.
    process: Child,
}

impl Guard {
    /// Starts the process for the machine `name`, which need not be there yet. It hears of signals to the whole group, such as Ctrl-C,
    /// and stays.
    pub(crate) fn start(program: &Path, folder: &Path, name: &str) -> anyhow::Result<Self> {
        const SCRIPT: &str = "trap '' INT TERM HUP; cat; \"$0\" rm --force \"$1\"; rm -rf \"$2\"";
        let coffer = coffer(program, folder);
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).arg(program).arg(name).arg(folder);
        command.envs(coffer.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { process: command.spawn().context("cannot start the machine's guard")? })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // What it cannot end or remove is nobody's any more.
        let _ = self.process.wait();
    }
}

/// `coffer` with all that it keeps in this folder.
pub(crate) fn coffer(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("XDG_DATA_HOME", data(folder)).env("DOCKER_CONFIG", docker_config(folder));
    command
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn docker_config(folder: &Path) -> PathBuf {
    folder.join("docker")
}

fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
