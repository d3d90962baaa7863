//! Debian's container runtimes, runc and crun, as they are: what they need of a kernel, and what the containers that they make look like.
//!
//! The runner puts them into the initramfs, with a bundle whose configuration is what our engine gives containers by default.

use std::fs;
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};

use crate::case::{Case, Failure, Outcome, skip};

mod lifecycle;
mod view;

pub use view::view;

pub const CASES: &[&[Case]] = &[lifecycle::CASES, view::CASES];

/// Debian's runtimes.
pub const RUNTIMES: [&str; 2] = ["/usr/sbin/runc", "/usr/bin/crun"];

/// What the arguments of the container's program are in the configuration.
const ARGUMENTS: &str = "\"@arguments-here\"";

/// A bundle and a place for a runtime's state, in mounts and control groups of their own.
#[derive(Debug)]
pub struct Stage {
    runtime: &'static str,
}

impl Stage {
    /// Sets the stage for the calling process.
    pub fn new(runtime: &'static str) -> Outcome<Self> {
        if !fs::exists(runtime)? {
            skip!("there is no {runtime} on this machine");
        }
        crate::fs::own_mounts()?;
        // The first root cannot be left by pivot_root(2): another mount of it is the root from here on.
        fs::create_dir_all("/tmp/root")?;
        mount(Some("/"), "/tmp/root", None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        std::env::set_current_dir("/tmp/root")?;
        mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
        nix::unistd::chroot(".")?;
        if !fs::exists("/sys/fs/cgroup/cgroup.procs")? {
            let flags = MsFlags::empty();
            mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), flags, None::<&str>)?;
        }
        if !fs::exists("/bundle/rootfs/abi")? {
            fs::hard_link("/init", "/bundle/rootfs/abi")?;
            fs::copy("/bundle/config.json", "/bundle/template.json")?;
        }
        std::env::set_current_dir("/bundle")?;
        Ok(Self { runtime })
    }

    /// Has the container's program get these arguments.
    pub fn configure(&self, arguments: &[&str]) -> Outcome {
        let template = fs::read_to_string("template.json")?;
        let arguments: Vec<String> = arguments.iter().map(|argument| format!("{argument:?}")).collect();
        fs::write("config.json", template.replace(ARGUMENTS, &arguments.join(",")))?;
        Ok(())
    }

    /// The runtime with arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.runtime);
        command.args(["--root", "/tmp/state"]).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin").env("GOMAXPROCS", "2");
        command
    }

    /// Runs the runtime, which succeeds.
    #[track_caller]
    pub fn does(&self, arguments: &[&str]) -> Outcome<String> {
        let output = self.command(arguments).output()?;
        if !output.status.success() {
            return Err(Failure::wrong(said(&output)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// What a runtime said that failed.
pub fn said(output: &Output) -> String {
    let words = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}: {}", output.status, String::from_utf8_lossy(&words).replace('\n', " | "))
}
