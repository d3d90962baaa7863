//! The client as a program: where it connects to, what it prints, how it ends.

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::terminal::Terminal;

/// How long a command may take, unless a case says otherwise. Machines run in software emulation.
const PATIENCE: Duration = Duration::from_secs(120);

/// A docker client that talks to one engine.
#[derive(Debug)]
pub struct Docker {
    program: PathBuf,
    /// Options before each command, such as `--context coffer-demo`.
    options: Vec<OsString>,
    /// `DOCKER_CONFIG`, so that the user's own settings stay out of it.
    config: Option<PathBuf>,
    /// Where this machine reaches ports that containers publish: (published port, address to connect to).
    published: Vec<(u16, String)>,
    folder: tempfile::TempDir,
}

impl AsRef<Self> for Docker {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Docker {
    /// A client. `options` stand before each command.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn new(
        program: PathBuf,
        options: Vec<OsString>,
        config: Option<PathBuf>,
        published: Vec<(u16, String)>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        Ok(Self { program, options, config, published, folder })
    }

    /// A folder for files of the tests.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ports that containers may publish so that this machine reaches them.
    pub fn published(&self) -> &[(u16, String)] {
        &self.published
    }

    /// The client's command line with these arguments, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options).args(args).stdin(Stdio::null());
        if let Some(config) = &self.config {
            command.env("DOCKER_CONFIG", config);
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// If it cannot be started or does not end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> anyhow::Result<Output> {
        self.run_with_input(args, b"")
    }

    /// Runs a command with standard input.
    ///
    /// # Errors
    /// If it cannot be started or does not end.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> anyhow::Result<Output> {
        Self::finish(&mut self.command(args), input).with_context(|| format!("docker {}", words(args)))
    }

    /// Runs any program that talks to an engine to its end, with standard input.
    ///
    /// # Errors
    /// If it cannot be started or does not end.
    pub(crate) fn finish(command: &mut Command, input: &[u8]) -> anyhow::Result<Output> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        finish(child, input)
    }

    /// Standard output of a command that must succeed, without the white space around it.
    ///
    /// # Errors
    /// If it fails; with what it said.
    pub fn ok<S: AsRef<OsStr>>(&self, args: &[S]) -> anyhow::Result<String> {
        let output = self.run(args)?;
        ensure!(output.code == Some(0), "docker {}: {output:?}", words(args));
        Ok(output.stdout.trim().to_owned())
    }

    /// Fails unless the command ends with this code and says this on standard error.
    ///
    /// # Errors
    /// With what was seen instead.
    pub fn refused<S: AsRef<OsStr>>(&self, args: &[S], code: i32, says: &str) -> anyhow::Result<()> {
        self.refused_by_either(args, code, [says, says])
    }

    /// The same, where docker 28 and docker 20.10 have different words for it.
    ///
    /// # Errors
    /// With what was seen instead.
    pub fn refused_by_either<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        code: i32,
        says: [&str; 2],
    ) -> anyhow::Result<()> {
        let output = self.run(args)?;
        let stderr = output.stderr.to_lowercase();
        ensure!(
            output.code == Some(code) && says.iter().any(|says| stderr.contains(&says.to_lowercase())),
            "docker {}: expected code {code} and one of {says:?}, got {output:?}",
            words(args)
        );
        Ok(())
    }

    /// `docker inspect`'s first object.
    ///
    /// # Errors
    /// If there is none.
    pub fn inspect(&self, name: &str) -> anyhow::Result<Value> {
        let text = self.ok(&["inspect", name])?;
        let mut objects: Vec<Value> =
            serde_json::from_str(&text).with_context(|| format!("inspect {name}: {text}"))?;
        ensure!(!objects.is_empty(), "inspect {name} shows nothing");
        Ok(objects.swap_remove(0))
    }

    /// Starts a command under a terminal of its own.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn terminal<S: AsRef<OsStr>>(&self, args: &[S]) -> anyhow::Result<Terminal> {
        Terminal::start(&self.command(args))
    }

    /// Waits until `is_true`, looking again and again.
    ///
    /// # Errors
    /// If it does not come true, or with its own error.
    pub fn until(&self, what: &str, mut is_true: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if is_true()? {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("{what} did not come true within {PATIENCE:?}")
    }

    /// Removes containers, networks and volumes, whatever they are. Images stay.
    pub fn remove_everything(&self) {
        let list = |args: &[&str]| -> Vec<String> {
            self.ok(args).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        for container in list(&["ps", "-aq"]) {
            // What cannot be removed shows in the next case.
            let _ = self.run(&["rm", "-f", "-v", &container]);
        }
        for network in list(&["network", "ls", "-q", "--filter", "type=custom"]) {
            let _ = self.run(&["network", "rm", &network]);
        }
        for volume in list(&["volume", "ls", "-q"]) {
            let _ = self.run(&["volume", "rm", "-f", &volume]);
        }
    }
}

/// Feeds a child, reads both of its streams, and waits.
fn finish(mut child: Child, input: &[u8]) -> anyhow::Result<Output> {
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A client that ends early closes its end.
                let _ = stdin.write_all(input);
            }
        });
        let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stdout = stdout.map(|stream| Box::new(stream) as Box<dyn std::io::Read + Send>);
        let stderr = stderr.map(|stream| Box::new(stream) as Box<dyn std::io::Read + Send>);
        let stdout = scope.spawn(move || read(stdout));
        let stderr = scope.spawn(move || read(stderr));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for the client")? {
                break Some(status);
            }
            if start.elapsed() > PATIENCE {
                child.kill().context("cannot end the client")?;
                child.wait().context("cannot wait for the client")?;
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = |handle: thread::ScopedJoinHandle<'_, String>| handle.join().unwrap_or_default();
        let (stdout, stderr) = (text(stdout), text(stderr));
        match status {
            Some(status) => Ok(Output { code: status.code(), stdout, stderr }),
            None => bail!("did not end within {PATIENCE:?}; it said {stdout:?} and {stderr:?}"),
        }
    })
}

/// Arguments as text, for messages.
fn words<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words: Vec<_> = args.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    words.join(" ")
}
