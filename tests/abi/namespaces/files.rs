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
    a_thread_can_leave_alone,
    a_thread_can_have_mounts_and_a_place_of_its_own,
    a_thread_can_enter_the_namespaces_of_a_pidfd,
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

/// The number of the calling thread's namespace.
fn own_number(kind: &str) -> std::io::Result<String> {
    Ok(fs::read_link(format!("/proc/thread-self/ns/{kind}"))?.to_string_lossy().into_owned())
}

/// Runs `body` on a thread of its own.
fn on_a_thread(body: impl FnOnce() -> Outcome + Send) -> Outcome {
    std::thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|_| Err(crate::case::Failure::wrong("the thread panicked")))
}

fn a_thread_can_leave_alone() -> Outcome {
    let kinds = ["uts", "ipc", "net", "cgroup"];
    let before: Vec<String> = kinds.iter().map(|kind| number(kind)).collect::<Result<_, _>>()?;
    nix::unistd::sethostname("outer")?;
    on_a_thread(|| {
        unshare(
            CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWIPC
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWCGROUP,
        )?;
        nix::unistd::sethostname("inner")?;
        let inside: Vec<String> = kinds.iter().map(|kind| own_number(kind)).collect::<Result<_, _>>()?;
        for (inside, before) in inside.iter().zip(&before) {
            check!(inside != before, "{inside} did not change");
        }
        // The process is taken for its first thread.
        let of_process: Vec<String> = kinds.iter().map(|kind| number(kind)).collect::<Result<_, _>>()?;
        check_eq!(of_process, before);
        // A child is where its maker is.
        child::passes(|| {
            check_eq!(nix::unistd::gethostname()?, "inner");
            check_eq!(number("uts")?, inside[0]);
            Ok(())
        })
    })?;
    check_eq!(nix::unistd::gethostname()?, "outer");
    let after: Vec<String> = kinds.iter().map(|kind| number(kind)).collect::<Result<_, _>>()?;
    check_eq!(after, before);
    Ok(())
}

fn a_thread_can_have_mounts_and_a_place_of_its_own() -> Outcome {
    let mounts = || fs::read_to_string("/proc/thread-self/mounts");
    let before = std::env::current_dir()?;
    fs::create_dir("there")?;
    on_a_thread(|| {
        // Threads share their place until one says otherwise.
        let own = File::open("/proc/thread-self/ns/mnt")?;
        check_fails!(setns(&own, CloneFlags::CLONE_NEWNS), EINVAL);
        unshare(CloneFlags::CLONE_NEWNS)?;
        nix::mount::mount(
            None::<&str>,
            "/",
            None::<&str>,
            nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE,
            None::<&str>,
        )?;
        let options = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("mine"), "there", Some("tmpfs"), options, None::<&str>)?;
        check!(mounts()?.contains("mine "));
        std::env::set_current_dir("there")?;
        File::create("inside")?;
        setns(&own, CloneFlags::CLONE_NEWNS)?;
        check!(!mounts()?.contains("mine "));
        check_eq!(std::env::current_dir()?.as_os_str(), "/");
        Ok(())
    })?;
    check!(!mounts()?.contains("mine "));
    check_eq!(std::env::current_dir()?, before);
    check!(!fs::exists("there/inside")?);
    Ok(())
}

fn a_thread_can_enter_the_namespaces_of_a_pidfd() -> Outcome {
    let sleeper = child::fork(|| {
        let entered = unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP);
        if entered.is_err() || nix::unistd::sethostname("sleeper").is_err() {
            return 1;
        }
        nix::unistd::pause();
        0
    })?;
    sleeper.until_asleep()?;
    let pid = usize::try_from(sleeper.pid.as_raw())?;
    // SAFETY: takes and gives numbers only.
    let pidfd = unsafe { crate::raw::syscall(libc::SYS_pidfd_open, [pid, 0, 0]) }?;
    let flags = (CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP).bits();
    on_a_thread(|| {
        // SAFETY: as above.
        unsafe { crate::raw::syscall(libc::SYS_setns, [pidfd, flags.unsigned_abs() as usize, 0]) }?;
        check_eq!(nix::unistd::gethostname()?, "sleeper");
        check_eq!(
            own_number("cgroup")?,
            fs::read_link(format!("/proc/{pid}/ns/cgroup"))?.to_string_lossy().into_owned()
        );
        Ok(())
    })?;
    check!(nix::unistd::gethostname()? != "sleeper");
    sleeper.kill(nix::sys::signal::Signal::SIGKILL)?;
    sleeper.wait()?;
    Ok(())
}
