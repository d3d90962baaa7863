//! `--on tdx-simulator`: a trust domain without the hardware, on the simulated TDX module of `tests/tdsim`.
//!
//! That is a program of its own, a tool of Coffer's tests, which also signs the domain's quotes, by keys that it makes for one machine. This program
//! has no such keys, and no part of it takes such a quote for genuine unless it is told to (`--trust-root`).

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use coffer_qemu::Simulated;

use crate::state::Home;

/// The program, and its package.
const PROGRAM: &str = "coffer-tdsim";

/// What it has to say besides.
const LOG: &str = "simulator.log";

/// The program at work, and the machine that it has prepared.
#[derive(Debug)]
pub struct Simulator {
    process: Process,
    pub simulated: Simulated,
}

/// The program's process. It ends with the machine; before there is one, when this is dropped.
#[derive(Debug)]
struct Process(Option<Child>);

impl Simulator {
    /// Has a trust domain prepared in the machine's folder: with that image, so many CPUs and so much memory.
    pub fn start(
        program: Option<&Path>,
        image: &Path,
        home: &Home,
        (cpus, memory_mib): (u32, u32),
    ) -> anyhow::Result<Self> {
        let program = program.map_or_else(beside, |program| Ok(program.to_owned()))?;
        let log = home.path(LOG);
        let errors = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut child = Command::new(&program)
            .arg("serve")
            .arg(image)
            .arg("--folder")
            .arg(home.folder())
            .args(["--smp", &cpus.to_string(), "--memory", &memory_mib.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            // It stays behind: a Ctrl-C on this program's terminal is not for it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take();
        let process = Process(Some(child));
        let mut line = String::new();
        stdout
            .map(|stdout| BufReader::new(stdout).read_line(&mut line))
            .transpose()
            .context("cannot read what the simulator says")?;
        if line.is_empty() {
            let words = fs::read_to_string(&log).unwrap_or_default();
            bail!("the simulator: {}", words.lines().last().unwrap_or("it gives no reason"));
        }
        let simulated = serde_json::from_str(&line).context("the simulator is of another version")?;
        Ok(Self { process, simulated })
    }

    /// The machine runs: the program ends by itself when that does.
    pub fn leave_to_machine(mut self) -> Simulated {
        self.process.0 = None;
        self.simulated
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // What has ended already is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program in this one's folder, where both were built.
fn beside() -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let program = own.with_file_name(PROGRAM);
    if !program.exists() {
        bail!(
            "{} is not there: build it (`cargo build -p {PROGRAM}`), or name it with --simulator",
            program.display()
        );
    }
    Ok(program)
}
