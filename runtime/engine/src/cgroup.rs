//! Control groups (version 2), as far as the engine uses them: one for each container, to freeze it.
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;

/// How long the kernel may take to freeze.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the groups of containers are; None on a kernel without them.
fn folder() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let path =
        mounts.into_iter().find(|(_, kind)| *kind == "cgroup2").map(|(path, _)| PathBuf::from(path))?;
    Some(path.join("coffer"))
}

/// The group of a container, which the shim makes.
pub fn of(id: &str) -> Option<PathBuf> {
    folder().map(|folder| folder.join(id))
}

/// Removes it, when nobody is in it any more.
pub fn remove(id: &str) {
    if let Some(path) = of(id) {
        // One that is not there, or not empty yet, is removed with the next start or not at all; it holds nothing.
        let _ = fs::remove_dir(path);
    }
}

/// The processes in the group of a container.
pub fn processes(id: &str) -> Option<Vec<i32>> {
    let text = fs::read_to_string(of(id)?.join("cgroup.procs")).ok()?;
    Some(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Freezes or thaws a container, and waits until it is so.
pub fn freeze(id: &str, is_frozen: bool) -> Result<(), Error> {
    let group = of(id).filter(|group| group.join("cgroup.freeze").exists());
    let group = group
        .ok_or_else(|| Error::Unsupported("pausing without the freezer of control groups".to_owned()))?;
    let what = || format!("{} the container", if is_frozen { "freeze" } else { "thaw" });
    fs::write(group.join("cgroup.freeze"), if is_frozen { "1" } else { "0" })
        .map_err(Error::system(what()))?;
    let wanted = if is_frozen { "frozen 1" } else { "frozen 0" };
    let start = Instant::now();
    while !has_event(&group, wanted).map_err(Error::system(what()))? {
        if start.elapsed() > PATIENCE {
            return Err(Error::system(what())(io::Error::from(io::ErrorKind::TimedOut)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn has_event(group: &Path, wanted: &str) -> io::Result<bool> {
    Ok(fs::read_to_string(group.join("cgroup.events"))?.lines().any(|line| line == wanted))
}
