//! User namespaces: user_namespaces(7), capabilities(7).

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Pid, Uid, getgid, getgroups, getuid, setgid, setgroups, sethostname, setuid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("namespaces":
    a_new_user_namespace_has_no_ids_and_all_capabilities,
    ids_inside_are_others_outside,
    a_user_can_map_itself_only,
    a_map_is_written_once_and_whole,
    capabilities_count_over_what_the_namespace_owns,
    the_maker_may_enter,
    files_of_strangers_are_out_of_reach,
    a_user_namespace_mounts_what_is_harmless,
    mounts_from_outside_are_locked,
    a_hidden_proc_cannot_be_mounted_anew,
    set_user_id_programs_need_an_id_inside,
    peers_are_known_by_the_readers_ids,
    user_namespaces_tell_their_relations,
    user_namespaces_nest_to_a_limit,
    threads_cannot_leave_their_user_namespace,
    file_capabilities_from_inside_count_inside,
);

const USER: CloneFlags = CloneFlags::CLONE_NEWUSER;

/// Runs `body` in a child in a user namespace (and more of `flags`) in which ids from 0 on are `first` and following outside.
fn inside(first: u32, flags: CloneFlags, body: impl FnOnce() -> Outcome) -> Outcome {
    let (ready_out, ready_in) = nix::unistd::pipe()?;
    let (go_out, go_in) = nix::unistd::pipe()?;
    let child = child::fork_case(|| {
        unshare(USER | flags)?;
        nix::unistd::write(&ready_in, b"x")?;
        nix::unistd::read(&go_out, &mut [0])?;
        setgid(Gid::from_raw(0))?;
        setuid(Uid::from_raw(0))?;
        body()
    })?;
    drop(ready_in);
    nix::unistd::read(&ready_out, &mut [0])?;
    for table in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{table}", child.pid), format!("0 {first} 65536\n"))?;
    }
    nix::unistd::write(&go_in, b"x")?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

/// Becomes a user without privileges whose files in /proc are still its own.
fn become_user(id: u32) -> Outcome {
    setgroups(&[])?;
    setgid(Gid::from_raw(id))?;
    setuid(Uid::from_raw(id))?;
    nix::sys::prctl::set_dumpable(true)?;
    Ok(())
}

/// As root of an own namespace without other ids.
fn as_own_root(flags: CloneFlags, body: impl FnOnce() -> Outcome) -> Outcome {
    child::passes(|| {
        become_user(1000)?;
        unshare(USER | flags)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", "0 1000 1")?;
        fs::write("/proc/self/uid_map", "0 1000 1")?;
        body()
    })
}

fn status(field: &str) -> Outcome<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn a_new_user_namespace_has_no_ids_and_all_capabilities() -> Outcome {
    let before = fs::read_link("/proc/self/ns/user")?;
    child::passes(|| {
        become_user(1000)?;
        check_eq!(status("CapEff:")?, "0000000000000000");
        unshare(USER)?;
        check!(fs::read_link("/proc/self/ns/user")? != before);
        check_eq!((getuid().as_raw(), getgid().as_raw()), (65534, 65534));
        check_eq!(status("Uid:")?, "65534 65534 65534 65534");
        check!(status("CapEff:")?.ends_with("1ffffffffff"));
        check_eq!(status("CapInh:")?, "0000000000000000");
        check_eq!(fs::read_to_string("/proc/self/uid_map")?, "");
        check_fails!(setuid(Uid::from_raw(0)), EINVAL);
        check_fails!(setgroups(&[]), EPERM);
        Ok(())
    })?;
    check_eq!(fs::read_to_string("/proc/self/uid_map")?, "         0          0 4294967295\n");
    check_eq!(fs::read_to_string("/proc/self/setgroups")?, "allow\n");
    Ok(())
}

fn ids_inside_are_others_outside() -> Outcome {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    inside(100_000, CloneFlags::empty(), || {
        check_eq!(fs::read_to_string("/proc/self/uid_map")?, "         0     100000      65536\n");
        check_eq!((getuid().as_raw(), getgid().as_raw()), (0, 0));
        check_eq!(status("Uid:")?, "0 0 0 0");
        File::create("mine")?;
        check_eq!(fs::metadata("mine")?.uid(), 0);
        check_eq!(fs::metadata("/")?.uid(), 65534);
        File::create("given")?;
        chown("given", Some(5), Some(7))?;
        check_eq!((fs::metadata("given")?.uid(), fs::metadata("given")?.gid()), (5, 7));
        check_fails!(chown("given", Some(65536), None), EINVAL);
        setgroups(&[Gid::from_raw(3)])?;
        check_eq!(getgroups()?, [Gid::from_raw(3)]);
        check_fails!(setgroups(&[Gid::from_raw(70_000)]), EINVAL);
        setuid(Uid::from_raw(5))?;
        check_eq!(status("CapEff:")?, "0000000000000000");
        Ok(())
    })?;
    check_eq!((fs::metadata("mine")?.uid(), fs::metadata("mine")?.gid()), (100_000, 100_000));
    check_eq!((fs::metadata("given")?.uid(), fs::metadata("given")?.gid()), (100_005, 100_007));
    Ok(())
}

fn a_user_can_map_itself_only() -> Outcome {
    child::passes(|| {
        become_user(1000)?;
        unshare(USER)?;
        check_fails!(fs::write("/proc/self/uid_map", "0 0 1"), EPERM);
        check_fails!(fs::write("/proc/self/uid_map", "0 1000 2"), EPERM);
        check_fails!(fs::write("/proc/self/uid_map", "0 1001 1"), EPERM);
        check_fails!(fs::write("/proc/self/gid_map", "0 1000 1"), EPERM);
        fs::write("/proc/self/setgroups", "deny")?;
        check_fails!(fs::write("/proc/self/setgroups", "allow"), EPERM);
        fs::write("/proc/self/gid_map", "0 1000 1")?;
        fs::write("/proc/self/uid_map", "7 1000 1")?;
        check_eq!((getuid().as_raw(), getgid().as_raw()), (7, 0));
        check_fails!(setgroups(&[]), EPERM);
        Ok(())
    })
}

fn a_map_is_written_once_and_whole() -> Outcome {
    child::passes(|| {
        unshare(USER)?;
        for nonsense in ["", "0", "0 0 0", "0 0 1 1", "x 0 1", "0 0 2\n1 5 1", "4294967295 0 1"] {
            check_fails!(
                File::create("/proc/self/uid_map")?.write_all(nonsense.as_bytes()).and_then(|()| {
                    // Writing nothing is no call.
                    if nonsense.is_empty() {
                        Err(std::io::Error::from_raw_os_error(libc::EINVAL))
                    } else {
                        Ok(())
                    }
                }),
                EINVAL
            );
        }
        let many: String = (0..341).map(|id| format!("{id} {id} 1\n")).collect();
        check_fails!(fs::write("/proc/self/uid_map", &many), EINVAL);
        // More than one line takes a capability outside.
        check_fails!(fs::write("/proc/self/uid_map", "0 0 1\n5 5 1\n"), EPERM);
        fs::write("/proc/self/uid_map", "0 0 1\n")?;
        check_fails!(fs::write("/proc/self/uid_map", "0 0 1\n"), EPERM);
        check_eq!(getuid().as_raw(), 0);
        Ok(())
    })?;
    check_fails!(fs::write("/proc/self/uid_map", "0 0 1\n"), EPERM);
    Ok(())
}

fn capabilities_count_over_what_the_namespace_owns() -> Outcome {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    as_own_root(CloneFlags::empty(), || {
        check!(status("CapEff:")?.ends_with("1ffffffffff"));
        check_fails!(sethostname("x"), EPERM);
        check_fails!(mount(Some("x"), "/tmp", Some("tmpfs"), MsFlags::empty(), None::<&str>), EPERM);
        check_fails!(mknod("null", SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(1, 3)), EPERM);
        let raw =
            crate::raw::harmless(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_RAW as usize, 1]);
        check_fails!(raw, EPERM);
        let machine = File::open(format!("/proc/{}/ns/uts", nix::unistd::getppid()));
        if let Ok(machine) = machine {
            check_fails!(setns(machine, CloneFlags::CLONE_NEWUTS), EPERM);
        }
        // What is made now belongs to the namespace.
        unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        sethostname("inside")?;
        let raw =
            crate::raw::harmless(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_RAW as usize, 1]);
        check!(raw.is_ok(), "{raw:?}");
        nix::unistd::chroot("/tmp")?;
        // Who has another root than its mounts' makes no user namespaces.
        check_fails!(unshare(USER), EPERM);
        Ok(())
    })
}

fn the_maker_may_enter() -> Outcome {
    become_user(1000)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let sleeper = child::fork(|| {
        if unshare(USER | CloneFlags::CLONE_NEWUTS).is_err() || nix::unistd::write(&writer, b"x").is_err() {
            return 1;
        }
        nix::unistd::pause();
        0
    })?;
    nix::unistd::read(&reader, &mut [0])?;
    let open = |kind: &str| File::open(format!("/proc/{}/ns/{kind}", sleeper.pid));
    let (user, uts) = (open("user")?, open("uts")?);
    child::passes(|| {
        check_fails!(setns(&uts, CloneFlags::CLONE_NEWUTS), EPERM);
        setns(&user, USER)?;
        setns(&uts, CloneFlags::CLONE_NEWUTS)?;
        check!(status("CapEff:")?.ends_with("1ffffffffff"));
        sethostname("entered")?;
        check_fails!(setns(&user, USER), EINVAL);
        Ok(())
    })?;
    sleeper.kill(nix::sys::signal::Signal::SIGKILL)?;
    sleeper.wait()?;
    Ok(())
}

fn files_of_strangers_are_out_of_reach() -> Outcome {
    fs::write("secret", "x")?;
    fs::set_permissions("secret", fs::Permissions::from_mode(0o600))?;
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    let parent = nix::unistd::getppid();
    inside(100_000, CloneFlags::empty(), || {
        check_fails!(File::open("secret"), EACCES);
        check_fails!(chown("secret", Some(0), None), EPERM);
        check_fails!(fs::set_permissions("secret", fs::Permissions::from_mode(0o666)), EPERM);
        check_fails!(nix::sys::signal::kill(parent, None), EPERM);
        check_fails!(nix::sys::signal::kill(Pid::from_raw(1), None), EPERM);
        // Files of users that there are inside are root's to change.
        File::create("other")?;
        chown("other", Some(9), Some(9))?;
        fs::set_permissions("other", fs::Permissions::from_mode(0o000))?;
        fs::read("other")?;
        Ok(())
    })
}

fn a_user_namespace_mounts_what_is_harmless() -> Outcome {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    fs::create_dir("on")?;
    as_own_root(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID, || {
        let try_mount = |kind: &str| mount(Some("none"), "on", Some(kind), MsFlags::empty(), None::<&str>);
        check_fails!(try_mount("devtmpfs"), EPERM);
        try_mount("tmpfs")?;
        check_eq!(fs::metadata("on")?.uid(), 0);
        File::create("on/file")?;
        umount2("on", MntFlags::empty())?;
        check_fails!(mount(Some("none"), "on", Some("tmpfs"), MsFlags::empty(), Some("uid=5")), EINVAL);
        child::passes(|| {
            try_mount("proc")?;
            check_eq!(fs::read_link("on/self")?.as_os_str(), "1");
            Ok(())
        })
    })
}

fn mounts_from_outside_are_locked() -> Outcome {
    crate::fs::own_mounts()?;
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    for folder in ["base", "copy"] {
        fs::create_dir(folder)?;
    }
    mount(Some("base"), "base", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>)?;
    fs::create_dir("base/covered")?;
    fs::write("base/covered/hidden", "x")?;
    mount(Some("cover"), "base/covered", Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)?;
    as_own_root(CloneFlags::CLONE_NEWNS, || {
        check_fails!(umount2("base/covered", MntFlags::MNT_DETACH), EINVAL);
        check_fails!(umount2("base", MntFlags::MNT_DETACH), EINVAL);
        let bind = |flags| mount(Some("base"), "copy", None::<&str>, MsFlags::MS_BIND | flags, None::<&str>);
        check_fails!(bind(MsFlags::empty()), EINVAL);
        bind(MsFlags::MS_REC)?;
        check_fails!(fs::metadata("copy/covered/hidden"), ENOENT);
        check_fails!(umount2("copy/covered", MntFlags::MNT_DETACH), EINVAL);
        let remount = |at: &str, flags| {
            mount(
                None::<&str>,
                at,
                None::<&str>,
                MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags,
                None::<&str>,
            )
        };
        check_fails!(remount("copy/covered", MsFlags::empty()), EPERM);
        check_fails!(remount("base", MsFlags::MS_NOSUID), EPERM);
        remount("base", MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC)?;
        // Its own mounts it takes away as it likes.
        umount2("copy", MntFlags::MNT_DETACH)?;
        Ok(())
    })
}

fn a_hidden_proc_cannot_be_mounted_anew() -> Outcome {
    crate::fs::own_mounts()?;
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    fs::create_dir("on")?;
    mount(Some("mask"), "/proc/sys", Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)?;
    as_own_root(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID, || {
        child::passes(|| {
            check_fails!(mount(Some("p"), "on", Some("proc"), MsFlags::empty(), None::<&str>), EPERM);
            Ok(())
        })
    })
}

fn set_user_id_programs_need_an_id_inside() -> Outcome {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    let program = |name: &str, owner: u32| -> Outcome {
        fs::copy("/proc/self/exe", name)?;
        chown(name, Some(owner), Some(owner))?;
        fs::set_permissions(name, fs::Permissions::from_mode(0o4755))?;
        Ok(())
    };
    program("stranger", 7)?;
    program("known", 100_009)?;
    inside(100_000, CloneFlags::empty(), || {
        let run = |name: &str| -> Outcome<String> {
            let output = std::process::Command::new(format!("./{name}")).arg("@cat-status").output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
            Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        check_eq!(run("stranger")?, "0 0 0 0");
        check_eq!(run("known")?, "0 9 9 9");
        Ok(())
    })
}

fn peers_are_known_by_the_readers_ids() -> Outcome {
    let (here, there) = UnixDatagram::pair()?;
    let own = nix::unistd::getpid();
    let from = getsockopt(&here, sockopt::PeerCredentials)?;
    check_eq!((from.uid(), from.pid()), (0, own.as_raw()));
    inside(100_000, CloneFlags::CLONE_NEWPID, || {
        // The peer is the machine's root, who has no name inside.
        let from = getsockopt(&there, sockopt::PeerCredentials)?;
        check_eq!((from.uid(), from.gid()), (65534, 65534));
        child::passes(|| {
            let from = getsockopt(&there, sockopt::PeerCredentials)?;
            check_eq!(from.pid(), 0);
            let (one, _other) = UnixDatagram::pair()?;
            let from = getsockopt(&one, sockopt::PeerCredentials)?;
            check_eq!((from.uid(), from.pid()), (0, 1));
            Ok(())
        })
    })
}

fn user_namespaces_tell_their_relations() -> Outcome {
    const NS_GET_USERNS: usize = 0xb701;
    const NS_GET_PARENT: usize = 0xb702;
    const NS_GET_NSTYPE: usize = 0xb703;
    const NS_GET_OWNER_UID: usize = 0xb704;
    fn ask(file: &File, command: usize, argument: usize) -> nix::Result<usize> {
        let fd = file.as_raw_fd().unsigned_abs() as usize;
        // SAFETY: NS_GET_OWNER_UID alone looks at the argument, which is then the address of a u32 of the caller's.
        unsafe { crate::raw::syscall(libc::SYS_ioctl, [fd, command, argument]) }
    }
    let outer = fs::read_link("/proc/self/ns/user")?;
    let open = |kind: &str| File::open(format!("/proc/self/ns/{kind}"));
    check_eq!(ask(&open("uts")?, NS_GET_NSTYPE, 0)?, libc::CLONE_NEWUTS as usize);
    check_fails!(ask(&open("uts")?, NS_GET_PARENT, 0), EINVAL);
    check_fails!(ask(&open("user")?, NS_GET_PARENT, 0), EPERM);
    let uts = open("uts")?;
    child::passes(|| {
        unshare(USER)?;
        let user = open("user")?;
        let mut uid = 0_u32;
        let place = (&raw mut uid).addr();
        check_eq!(ask(&user, NS_GET_OWNER_UID, place)?, 0);
        check_eq!(uid, 65534);
        // The parent is out of sight.
        check_fails!(ask(&user, NS_GET_PARENT, 0), EPERM);
        check_fails!(ask(&uts, NS_GET_USERNS, 0), EPERM);
        unshare(CloneFlags::CLONE_NEWUTS)?;
        let owner = ask(&open("uts")?, NS_GET_USERNS, 0)?;
        check_eq!(fs::read_link(format!("/proc/self/fd/{owner}"))?, fs::read_link("/proc/self/ns/user")?);
        Ok(())
    })?;
    let owner = ask(&uts, NS_GET_USERNS, 0)?;
    check_eq!(fs::read_link(format!("/proc/self/fd/{owner}"))?, outer);
    Ok(())
}

fn user_namespaces_nest_to_a_limit() -> Outcome {
    child::passes(|| {
        let mut levels = 0;
        while unshare(USER).is_ok() {
            fs::write("/proc/self/uid_map", "0 0 1")?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/gid_map", "0 0 1")?;
            levels += 1;
            check!(levels < 40);
        }
        check_eq!(levels, 33);
        check_fails!(unshare(USER), ENOSPC);
        check_eq!(getuid().as_raw(), 0);
        Ok(())
    })
}

fn threads_cannot_leave_their_user_namespace() -> Outcome {
    let result = std::thread::spawn(|| unshare(USER)).join();
    check_eq!(result.unwrap_or(Ok(())), Err(nix::errno::Errno::EINVAL));
    Ok(())
}

fn file_capabilities_from_inside_count_inside() -> Outcome {
    /// Version 2, effective: CAP_SYS_ADMIN.
    const ADMIN: [u8; 20] = [1, 0, 0, 2, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    let effective = || -> Outcome<String> {
        let output = std::process::Command::new("./program").arg("@cat-status").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
        Ok(line.trim().to_owned())
    };
    as_own_root(CloneFlags::empty(), || {
        fs::copy("/proc/self/exe", "./program")?;
        fs::set_permissions("./program", fs::Permissions::from_mode(0o755))?;
        let set = |value: &[u8]| {
            let (path, name) = (c"./program".as_ptr() as usize, c"security.capability".as_ptr() as usize);
            // SAFETY: path, name and value outlive the call, which only reads them.
            unsafe {
                crate::raw::syscall(libc::SYS_setxattr, [path, name, value.as_ptr().addr(), value.len(), 0])
            }
        };
        check_fails!(set(&ADMIN[..12]), EINVAL);
        set(&ADMIN)?;
        Ok(())
    })?;
    // Outside it is as if it were not there.
    child::passes(|| {
        become_user(1000)?;
        check_eq!(effective()?, "0000000000000000");
        Ok(())
    })
}
