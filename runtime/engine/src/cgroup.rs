//! Control groups (version 2), as far as the engine uses them: one for each container, to limit, count and freeze it.
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

/// What containers can be limited by, if the kernel has it.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "cpuset", "pids"];

/// Makes the folder of all groups, and gives the groups in it the controllers that there are.
pub fn prepare() {
    let Some(folder) = folder() else { return };
    // A kernel or a sandbox that does not let us has no limits; what asks for one is refused then.
    let _ = fs::create_dir_all(&folder);
    for group in folder.parent().into_iter().chain([folder.as_path()]) {
        for controller in CONTROLLERS {
            let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

/// The controllers that groups of containers have.
pub fn controllers() -> Vec<String> {
    let text = folder().and_then(|folder| fs::read_to_string(folder.join("cgroup.subtree_control")).ok());
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Writes files of a group.
pub fn write(group: &Path, settings: &[(String, String)]) -> Result<(), Error> {
    settings.iter().try_for_each(|(file, value)| {
        fs::write(group.join(file), value).map_err(Error::system(format!("set `{file}` to `{value}`")))
    })
}

/// How many processes of a container the kernel has ended because its memory was full.
pub fn oom_kills(id: &str) -> u64 {
    let text = of(id).and_then(|group| fs::read_to_string(group.join("memory.events")).ok());
    let text = text.unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or_default()
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
