//! Containers one after the other, as Debian's crun makes them on Linux: what Coffer's own runtime is compared with.
//!
//! The archive that this runs from has `/bundle/config.json`, `/layer` with the root file system, and crun. Each container gets an
//! overlay of its own over the layer, as under docker, and everything is removed again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

const ROOT: &str = "/bundle/rootfs";
const SNAPSHOT: &str = "/tmp/snapshot";

/// Makes, starts and removes so many; prints a line after each.
pub fn run(rounds: u32) {
    // crun wants to see it even when it is told to leave it alone.
    if let Err(error) =
        mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), None::<&str>)
    {
        println!("bench: mount cgroup2: {error}");
    }
    for round in 1..=rounds {
        match one(round) {
            Ok(()) => println!("bench: container {round}"),
            Err(error) => println!("bench: container {round}: {error}"),
        }
    }
}

fn one(round: u32) -> io::Result<()> {
    let folder = Path::new(SNAPSHOT);
    for name in ["upper", "work"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::create_dir_all(ROOT)?;
    let options = format!("lowerdir=/layer,upperdir={SNAPSHOT}/upper,workdir={SNAPSHOT}/work");
    mount(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
    // The root of an initramfs cannot be pivoted away from, and crun is not asked for more than Coffer's runtime does here: no
    // control groups.
    let status = Command::new("/usr/bin/crun")
        .args(["--cgroup-manager=disabled", "run", "--no-pivot", "--bundle=/bundle"])
        .arg(format!("bench{round}"))
        .stdin(Stdio::null())
        .status();
    umount2(ROOT, MntFlags::empty())?;
    fs::remove_dir_all(SNAPSHOT)?;
    match status? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("crun: {status}"))),
    }
}
