//! Groups as directories, and who is in them.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::{Group, sleeper_in};
use crate::case::{Outcome, cases, check, check_eq};
use crate::child;
use crate::raw;

cases!("cgroup":
    a_group_has_the_files_of_its_place,
    groups_come_and_go_as_directories,
    processes_are_moved_and_inherited,
    a_group_with_processes_or_groups_stays,
    populated_is_told_by_poll_and_inotify,
    kill_ends_all_in_a_group_and_below,
    clone3_starts_in_a_group,
    limits_on_the_tree_are_kept,
    files_that_cannot_be_written_are_refused,
    cpu_time_is_counted,
    unprivileged_processes_stay_where_they_are,
);

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn a_group_has_the_files_of_its_place() -> Outcome {
    let group = Group::new()?;
    check_eq!(statfs(group.path())?.filesystem_type(), CGROUP2_SUPER_MAGIC);
    for file in [
        "cgroup.controllers",
        "cgroup.events",
        "cgroup.freeze",
        "cgroup.kill",
        "cgroup.max.depth",
        "cgroup.procs",
        "cgroup.max.descendants",
        "cgroup.stat",
        "cgroup.subtree_control",
        "cgroup.threads",
        "cgroup.type",
        "cpu.stat",
        "pids.current",
        "pids.events",
        "pids.max",
    ] {
        check!(group.file(file).is_file(), "{file}");
    }
    check_eq!(group.read("cgroup.type")?, "domain\n");
    check_eq!(group.read("cgroup.controllers")?, "pids\n");
    check_eq!(group.read("cgroup.subtree_control")?, "");
    check_eq!(group.read("cgroup.events")?, "populated 0\nfrozen 0\n");
    check_eq!(group.read("cgroup.max.depth")?, "max\n");
    let root = |name: &str| group.file("..").join(name);
    for file in ["cgroup.events", "cgroup.freeze", "cgroup.kill", "cgroup.type", "pids.max"] {
        check!(!root(file).exists(), "{file} in the root");
    }
    check!(fs::read_to_string(root("cgroup.controllers"))?.split_whitespace().any(|name| name == "pids"));
    // The controller is not given on.
    let inner = group.child("inner")?;
    check_eq!(inner.read("cgroup.controllers")?, "");
    check!(!inner.file("pids.max").exists());
    group.write("cgroup.subtree_control", "+pids")?;
    check!(inner.file("pids.max").exists());
    check_eq!(errno(group.write("cgroup.subtree_control", "+nonsense")), Some(libc::EINVAL));
    inner.write("cgroup.subtree_control", "+pids")?;
    check_eq!(errno(group.write("cgroup.subtree_control", "-pids")), Some(libc::EBUSY));
    inner.write("cgroup.subtree_control", "-pids")?;
    group.write("cgroup.subtree_control", "-pids")?;
    check_eq!(errno(inner.write("cgroup.subtree_control", "+pids")), Some(libc::ENOENT));
    Ok(())
}

fn groups_come_and_go_as_directories() -> Outcome {
    let group = Group::new()?;
    let one = group.child("one")?;
    let _two = one.child("two")?;
    check_eq!(group.value("cgroup.stat", "nr_descendants")?, 2);
    let mut names: Vec<String> = fs::read_dir(one.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    check!(names.contains(&"two".to_owned()) && names.contains(&"cgroup.procs".to_owned()), "{names:?}");
    check_eq!(fs::metadata(one.path())?.nlink(), 3);
    check_eq!(errno(fs::create_dir(one.path())), Some(libc::EEXIST));
    check_eq!(errno(File::create(one.file("file"))), Some(libc::EACCES));
    check_eq!(errno(fs::create_dir(group.file("a\nb"))), Some(libc::EINVAL));
    // A file that is open says that the group is gone.
    let three = one.file("three");
    fs::create_dir(&three)?;
    let mut procs = File::open(three.join("cgroup.procs"))?;
    fs::remove_dir(&three)?;
    check!(!three.join("cgroup.procs").exists());
    check_eq!(errno(procs.read(&mut [0; 8])), Some(libc::ENODEV));
    Ok(())
}

fn processes_are_moved_and_inherited() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    check_eq!(inner.read("cgroup.procs")?, "");
    let child = child::fork_case(|| {
        inner.put(0)?;
        let path = format!("/case-{}/inner", nix::unistd::getppid());
        let own = || fs::read_to_string("/proc/self/cgroup");
        check!(own()?.lines().any(|line| line == format!("0::{path}")), "{:?}", own()?);
        check_eq!(inner.read("cgroup.procs")?, format!("{}\n", std::process::id()));
        let grandchild = sleeper_in(&group)?;
        check_eq!(group.read("cgroup.procs")?, format!("{}\n", grandchild.pid));
        grandchild.kill(Signal::SIGKILL)?;
        grandchild.wait()?;
        child::passes(|| {
            check!(own()?.contains("/inner\n"));
            Ok(())
        })?;
        // Threads are in their process's group.
        let threads = std::thread::spawn(|| fs::read_to_string("/proc/thread-self/cgroup")).join();
        check!(threads.is_ok_and(|text| text.is_ok_and(|text| text.contains("/inner\n"))));
        Ok(())
    })?;
    check_eq!(child.exit_code()?, 0);
    check_eq!(inner.read("cgroup.procs")?, "");
    check_eq!(errno(inner.put(999_999)), Some(libc::ESRCH));
    check_eq!(errno(inner.write("cgroup.procs", "word")), Some(libc::EINVAL));
    Ok(())
}

fn a_group_with_processes_or_groups_stays() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    check_eq!(errno(fs::remove_dir(group.path())), Some(libc::EBUSY));
    let child = sleeper_in(&inner)?;
    check_eq!(errno(fs::remove_dir(inner.path())), Some(libc::EBUSY));
    child.kill(Signal::SIGKILL)?;
    // A zombie is in nobody's way.
    child::until("it has ended", || Ok(child.state()? == 'Z'))?;
    child::until("nobody is in it", || Ok(inner.read("cgroup.procs")?.is_empty()))?;
    fs::remove_dir(inner.path())?;
    let line = fs::read_to_string(format!("/proc/{}/cgroup", child.pid))?;
    check!(line.contains("/inner (deleted)\n"), "{line:?}");
    child.wait()?;
    Ok(())
}

fn populated_is_told_by_poll_and_inotify() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK)?;
    inotify.add_watch(&group.file("cgroup.events"), AddWatchFlags::IN_MODIFY)?;
    let mut events = File::open(group.file("cgroup.events"))?;
    let mut text = String::new();
    events.read_to_string(&mut text)?;
    check_eq!(text, "populated 0\nfrozen 0\n");
    let has_changed = |events: &File, timeout: u16| -> Outcome<bool> {
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        poll(&mut fds, PollTimeout::from(timeout))?;
        Ok(fds[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLPRI)))
    };
    // One of the two may come a moment after the other.
    let is_told = || {
        child::until("inotify tells", || match inotify.read_events() {
            Err(Errno::EAGAIN) => Ok(false),
            told => Ok(told?.iter().all(|event| event.mask.contains(AddWatchFlags::IN_MODIFY))),
        })
    };
    check!(!has_changed(&events, 0)?);
    let child = sleeper_in(&inner)?;
    check!(has_changed(&events, 2000)?);
    check_eq!(group.value("cgroup.events", "populated")?, 1);
    is_told()?;
    std::io::Seek::rewind(&mut events)?;
    text.clear();
    events.read_to_string(&mut text)?;
    check!(!has_changed(&events, 0)?);
    child.kill(Signal::SIGKILL)?;
    check!(has_changed(&events, 2000)?);
    check_eq!(group.value("cgroup.events", "populated")?, 0);
    is_told()?;
    child.wait()?;
    Ok(())
}

fn kill_ends_all_in_a_group_and_below() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    let outside = child::fork(|| {
        loop {
            nix::unistd::pause();
        }
    })?;
    let children = [sleeper_in(&group)?, sleeper_in(&inner)?, sleeper_in(&inner)?];
    check_eq!(errno(group.read("cgroup.kill")), Some(libc::EINVAL));
    check_eq!(errno(group.write("cgroup.kill", "2")), Some(libc::ERANGE));
    group.write("cgroup.kill", "1")?;
    for child in &children {
        check_eq!(child.end_signal()?, Signal::SIGKILL);
    }
    check_eq!(outside.poll()?, nix::sys::wait::WaitStatus::StillAlive);
    outside.kill(Signal::SIGKILL)?;
    outside.wait()?;
    Ok(())
}

fn clone3_starts_in_a_group() -> Outcome {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let group = Group::new()?;
    let folder = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(group.path())?;
    let start = |fd: u64| -> nix::Result<usize> {
        let mut arguments = [0_u64; 11];
        arguments[0] = CLONE_INTO_CGROUP;
        arguments[4] = libc::SIGCHLD as u64;
        arguments[10] = fd;
        // SAFETY: a child with a copy of this memory, which only leaves or sleeps.
        unsafe { raw::syscall(libc::SYS_clone3, [arguments.as_ptr() as usize, size_of_val(&arguments)]) }
    };
    check_eq!(start(9999), Err(Errno::EBADF));
    let elsewhere = File::open("/proc")?;
    check_eq!(start(elsewhere.as_raw_fd() as u64), Err(Errno::EBADF));
    let pid = start(folder.as_raw_fd() as u64)?;
    if pid == 0 {
        let is_there = fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains("/case-"));
        child::exit_now(if is_there { 7 } else { 1 });
    }
    let child = child::Child { pid: nix::unistd::Pid::from_raw(i32::try_from(pid)?) };
    check_eq!(child.exit_code()?, 7);
    check!(!fs::read_to_string("/proc/self/cgroup")?.contains("/case-"));
    Ok(())
}

fn limits_on_the_tree_are_kept() -> Outcome {
    let group = Group::new()?;
    group.write("cgroup.max.depth", 1)?;
    let one = group.child("one")?;
    check_eq!(errno(fs::create_dir(one.file("two"))), Some(libc::EAGAIN));
    group.write("cgroup.max.depth", "max")?;
    group.write("cgroup.max.descendants", 2)?;
    let _two = one.child("two")?;
    check_eq!(errno(fs::create_dir(one.file("three"))), Some(libc::EAGAIN));
    check_eq!(errno(group.write("cgroup.max.descendants", -1)), Some(libc::ERANGE));
    check_eq!(group.read("cgroup.max.descendants")?, "2\n");
    Ok(())
}

fn files_that_cannot_be_written_are_refused() -> Outcome {
    let group = Group::new()?;
    for file in ["cgroup.controllers", "cgroup.events", "cgroup.stat", "pids.current"] {
        check!(errno(group.write(file, 1)) == Some(libc::EINVAL), "{file}");
    }
    check_eq!(errno(group.write("cgroup.type", "nonsense")), Some(libc::EINVAL));
    Ok(())
}

fn cpu_time_is_counted() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    child::passes(|| {
        inner.put(0)?;
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        check!(inner.value("cpu.stat", "usage_usec")? > 20_000);
        Ok(())
    })?;
    // It stays with the groups above.
    check!(inner.value("cpu.stat", "usage_usec")? > 20_000);
    drop(inner);
    // The part first: what has ended may still be added between the two.
    let user = group.value("cpu.stat", "user_usec")?;
    let usage = group.value("cpu.stat", "usage_usec")?;
    check!(usage > 20_000 && user <= usage, "{usage} {user}");
    Ok(())
}

fn unprivileged_processes_stay_where_they_are() -> Outcome {
    let group = Group::new()?;
    let inner = group.child("inner")?;
    // The target is theirs, but what is above both is not.
    nix::unistd::chown(&inner.file("cgroup.procs"), Some(nix::unistd::Uid::from_raw(4321)), None)?;
    nix::unistd::chown(inner.path(), Some(nix::unistd::Uid::from_raw(4321)), None)?;
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(4321))?;
        check_eq!(
            fs::write(inner.file("cgroup.procs"), "0").map_err(|error| error.kind()),
            Err(ErrorKind::PermissionDenied)
        );
        fs::create_dir(inner.file("own"))?;
        check_eq!(fs::metadata(inner.file("own").join("cgroup.procs"))?.uid(), 4321);
        fs::remove_dir(inner.file("own"))?;
        Ok(())
    })
}
