//! Cgroup namespaces (cgroup_namespaces(7)).

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::Group;
use crate::case::{Outcome, cases, check, check_eq};
use crate::child;

cases!("cgroup":
    a_namespace_makes_its_group_the_root,
    what_is_outside_of_a_namespace_is_above_it,
);

fn own() -> std::io::Result<String> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned())
}

fn a_namespace_makes_its_group_the_root() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    let number = || fs::read_link("/proc/self/ns/cgroup");
    child::passes(|| {
        group.put(0)?;
        let before = number()?;
        unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)?;
        check!(number()? != before);
        check_eq!(own()?, "/");
        inner.put(0)?;
        check_eq!(own()?, "/inner");
        let top = std::env::current_dir()?.join("seen");
        fs::create_dir_all(&top)?;
        mount(Some("none"), &top, Some("cgroup2"), MsFlags::empty(), None::<&str>)?;
        check!(top.join("inner/cgroup.procs").exists());
        check!(top.join("cgroup.events").exists(), "the namespace's root is not the tree's");
        // Both mounts show the same groups.
        fs::create_dir(group.file("other"))?;
        check!(top.join("other/cgroup.procs").exists());
        fs::remove_dir(top.join("other"))?;
        check!(!group.file("other").exists());
        nix::mount::umount(&top)?;
        Ok(())
    })
}

fn what_is_outside_of_a_namespace_is_above_it() -> Outcome {
    let group = Group::new()?;
    let (inner, other) = (group.child("inner")?, group.child("other")?);
    child::passes(|| {
        inner.put(0)?;
        unshare(CloneFlags::CLONE_NEWCGROUP)?;
        other.put(0)?;
        check_eq!(own()?, "/../other");
        group.put(0)?;
        check_eq!(own()?, "/..");
        Ok(())
    })
}
