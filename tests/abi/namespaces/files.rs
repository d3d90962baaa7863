//! /proc/PID/ns and setns(2).

use std::fs::{self, File};

use nix::sched::{CloneFlags, setns, unshare};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("namespaces":
    each_namespace_has_a_file,
    a_new_namespace_has_a_new_number,
    setns_goes_back,
    setns_checks_the_kind,
    unshare_needs_privilege,
    an_ipc_namespace_can_be_made,
);

fn number(kind: &str) -> std::io::Result<String> {
    Ok(fs::read_link(format!("/proc/self/ns/{kind}"))?.to_string_lossy().into_owned())
}

fn each_namespace_has_a_file() -> Outcome {
    for kind in ["mnt", "pid", "uts", "ipc", "net"] {
        let text = number(kind)?;
        check!(text.starts_with(&format!("{kind}:[")) && text.ends_with(']'), "{text}");
        let mine = text.clone();
        child::passes(|| {
            check_eq!(number(kind)?, mine);
            Ok(())
        })?;
    }
    Ok(())
}

fn a_new_namespace_has_a_new_number() -> Outcome {
    for (kind, flag) in [
        ("mnt", CloneFlags::CLONE_NEWNS),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("net", CloneFlags::CLONE_NEWNET),
    ] {
        let before = number(kind)?;
        unshare(flag)?;
        check!(number(kind)? != before, "{kind} did not change");
    }
    Ok(())
}

fn setns_goes_back() -> Outcome {
    let (old, name) = (File::open("/proc/self/ns/uts")?, number("uts")?);
    unshare(CloneFlags::CLONE_NEWUTS)?;
    nix::unistd::sethostname("inside")?;
    setns(&old, CloneFlags::CLONE_NEWUTS)?;
    check_eq!(number("uts")?, name);
    check!(nix::unistd::gethostname()? != "inside");
    Ok(())
}

fn setns_checks_the_kind() -> Outcome {
    let uts = File::open("/proc/self/ns/uts")?;
    check_fails!(setns(&uts, CloneFlags::CLONE_NEWNS), EINVAL);
    check_fails!(setns(File::create("file")?, CloneFlags::empty()), EINVAL);
    setns(&uts, CloneFlags::empty())?;
    Ok(())
}

fn unshare_needs_privilege() -> Outcome {
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check_fails!(unshare(CloneFlags::CLONE_NEWUTS), EPERM);
    check_fails!(unshare(CloneFlags::CLONE_NEWNS), EPERM);
    unshare(CloneFlags::CLONE_FILES | CloneFlags::CLONE_FS)?;
    Ok(())
}

fn an_ipc_namespace_can_be_made() -> Outcome {
    let before = number("ipc")?;
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWIPC)?;
        check!(number("ipc")? != before);
        Ok(())
    })?;
    check_eq!(number("ipc")?, before);
    Ok(())
}
