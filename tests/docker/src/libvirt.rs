//! `coffer launch --on libvirt` against a libvirt of its own: in the session of an ordinary user, which root has none of and is `nobody` for.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use coffer_images::small;

use crate::machine::coffer;

/// The machine's name.
const NAME: &str = "test";

/// How long libvirt may take to notice that a machine has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folder for copies of files that the user may not be let to.
const BROUGHT: &str = "brought";

/// `nobody`, whom every Debian has.
const OTHER_USER: u32 = 65_534;

/// Launches a machine from `disk`, sees it among libvirt's, runs a container, stops and removes it: by the programs `coffer_program` and
/// `docker`.
///
/// # Errors
/// With the first command that does not do what it should.
pub fn launch_run_stop(coffer_program: &Path, disk: &Path, docker: &Path) -> anyhow::Result<()> {
    let session = Session::start(coffer_program)?;
    let (coffer_program, disk, docker) =
        (session.bring(coffer_program)?, session.bring(disk)?, session.bring(docker)?);
    let archive = session.folder.join("image.tar");
    small::busybox()?.docker_archive().write_tar(&archive)?;
    session.give(&archive)?;

    let coffer = |arguments: &[&str]| session.run(&coffer_program, arguments);
    let virsh = |arguments: &[&str]| {
        session.run(Path::new("virsh"), &[&["--quiet", "--connect", "qemu:///session"], arguments].concat())
    };
    let docker = |arguments: &[&str]| {
        session.run(&docker, &[&["--context", &format!("coffer-{NAME}")], arguments].concat())
    };
    let disk = disk.to_str().context("the folder for temporary files has no printable name")?;
    coffer(&["launch", "--on", "libvirt", "--name", NAME, "--memory", "1024", "--image", disk])?;
    let state = virsh(&["domstate", &format!("coffer-{NAME}")])?;
    ensure!(state == "running", "libvirt says that the machine is {state:?}");
    docker(&["load", "--quiet", "--input", "image.tar"])?;
    let said = docker(&["run", "--rm", "test:latest", "echo", "from libvirt"])?;
    ensure!(said == "from libvirt", "the container says {said:?}");
    coffer(&["stop", NAME])?;
    // QEMU has ended; libvirt hears of it a moment later.
    let start = Instant::now();
    while let domains @ 1.. = virsh(&["list", "--all", "--name"])?.lines().count() {
        ensure!(start.elapsed() < PATIENCE, "after the machine's end, libvirt still has {domains} domains");
        thread::sleep(Duration::from_millis(100));
    }
    coffer(&["rm", NAME])?;
    Ok(())
}

/// A user's session: everything that libvirt, coffer and docker keep is in one folder of that user's.
struct Session {
    folder: PathBuf,
    /// Who the user is, if it is not the one that tests.
    user: Option<u32>,
    /// Ends the machine and libvirt's daemons, and removes the folder, as soon as its standard input is closed, by whatever.
    guard: Child,
}

impl Session {
    fn start(coffer_program: &Path) -> anyhow::Result<Self> {
        const SCRIPT: &str = "trap '' INT TERM HUP; cat; \"$0\" rm --force \"$1\"; \
            for daemon in \"$2\"/run/libvirt/*.pid; do kill \"$(cat \"$daemon\")\"; done; sleep 1; rm -rf \"$2\"";
        // Not below the source tree, which others may not be let into; and libvirt's sockets want a short name.
        let folder =
            tempfile::Builder::new().prefix("coffer-").tempdir().context("no temporary folder")?.keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", SCRIPT]).arg(coffer_program).arg(NAME).arg(&folder);
        let environment = coffer(coffer_program, &folder);
        guard.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().context("cannot start the session's guard")?;
        let user = (fs::metadata(&folder)?.uid() == 0).then_some(OTHER_USER);
        let session = Self { folder, user, guard };
        session.give(&session.folder)?;
        for name in ["run", "home", BROUGHT] {
            let folder = session.folder.join(name);
            fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            session.give(&folder)?;
        }
        Ok(session)
    }

    /// Copies a file to where the user can read it.
    fn bring(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let copy = self.folder.join(BROUGHT).join(file.file_name().unwrap_or_default());
        fs::copy(file, &copy).with_context(|| format!("cannot copy {}", file.display()))?;
        self.give(&copy)?;
        Ok(copy)
    }

    fn give(&self, path: &Path) -> anyhow::Result<()> {
        chown(path, self.user, self.user).with_context(|| format!("cannot give {} away", path.display()))
    }

    /// Runs a program as the user; gives what it prints, without surrounding white space.
    fn run(&self, program: &Path, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
        let mut command = coffer(program, &self.folder);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME");
        command.env("HOME", self.folder.join("home")).env("XDG_RUNTIME_DIR", self.folder.join("run"));
        // Where Debian has libvirtd, and not every user's programs.
        let mut path = env::var_os("PATH").unwrap_or_default();
        path.push(":/usr/sbin");
        command.env("PATH", path);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", program.display(), words.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // What it cannot end or remove is nobody's any more.
        let _ = self.guard.wait();
    }
}
