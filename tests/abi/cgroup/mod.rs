//! Control groups, version 2 (cgroups(7); Linux's documentation "Control Group v2").

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::case::{Case, Outcome};
use crate::child;

mod cpu;
mod freeze;
mod memory;
mod namespace;
mod pids;
mod tree;

pub const CASES: &[&[Case]] =
    &[tree::CASES, freeze::CASES, pids::CASES, memory::CASES, cpu::CASES, namespace::CASES];

/// A group of its own for a case, with the pids controller, that goes with the case.
struct Group {
    mounted: Option<PathBuf>,
    path: PathBuf,
}

impl Group {
    /// Mounts the tree in the working directory and makes a group in it.
    fn new() -> Outcome<Self> {
        let top = std::env::current_dir()?.join("groups");
        fs::create_dir_all(&top)?;
        mount(Some("none"), &top, Some("cgroup2"), MsFlags::empty(), None::<&str>)?;
        fs::write(top.join("cgroup.subtree_control"), "+pids")?;
        let path = top.join(format!("case-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self { mounted: Some(top), path })
    }

    /// A group in this one.
    fn child(&self, name: &str) -> Outcome<Self> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(Self { mounted: None, path })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&self, name: &str) -> std::io::Result<String> {
        fs::read_to_string(self.file(name))
    }

    fn write(&self, name: &str, text: impl ToString) -> std::io::Result<()> {
        fs::write(self.file(name), text.to_string())
    }

    /// A number that stands behind a word in a file.
    fn value(&self, file: &str, key: &str) -> Outcome<u64> {
        let text = self.read(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        value.ok_or_else(|| crate::case::Failure::wrong(format!("no {key} in {text:?}")))
    }

    fn put(&self, process: i32) -> std::io::Result<()> {
        self.write("cgroup.procs", process)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever is in it, this process included, is in the way.
        let _ = fs::write(self.path.join("../cgroup.procs"), "0");
        let _ = self.write("cgroup.kill", 1);
        let _ = child::until("the group can be removed", || Ok(fs::remove_dir(&self.path).is_ok()));
        if let Some(top) = &self.mounted {
            let _ = umount2(top, MntFlags::MNT_DETACH);
        }
    }
}

/// A child that sleeps until it is killed, in the group.
fn sleeper_in(group: &Group) -> Outcome<child::Child> {
    let child = child::fork(|| {
        loop {
            nix::unistd::pause();
        }
    })?;
    group.put(child.pid.as_raw())?;
    Ok(child)
}
