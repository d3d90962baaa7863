//! Users, groups, the file mode mask and what root may do that others may not (credentials(7)).

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, getgroups, getresgid, getresuid, setgid, setgroups, setresgid, setresuid, setuid,
};

use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::{child, program};

cases!("process":
    setuid_by_root_sets_all_three,
    setuid_cannot_be_undone,
    a_saved_uid_can_be_taken_back,
    groups_read_back,
    setgroups_needs_privilege,
    new_files_belong_to_the_effective_user,
    other_users_cannot_be_signalled,
    umask_clears_bits,
    set_user_id_programs_change_the_effective_user,
    no_new_privs_stops_set_user_id,
);

const USER: Uid = Uid::from_raw(1000);

fn setuid_by_root_sets_all_three() -> Outcome {
    setgid(Gid::from_raw(1000))?;
    setuid(USER)?;
    let (users, groups) = (getresuid()?, getresgid()?);
    check_eq!([users.real, users.effective, users.saved], [USER; 3]);
    check_eq!([groups.real, groups.effective, groups.saved], [Gid::from_raw(1000); 3]);
    Ok(())
}

fn setuid_cannot_be_undone() -> Outcome {
    setuid(USER)?;
    check_fails!(setuid(Uid::from_raw(0)), EPERM);
    check_fails!(setresuid(Uid::from_raw(0), USER, USER), EPERM);
    check_fails!(setgid(Gid::from_raw(7)), EPERM);
    Ok(())
}

fn a_saved_uid_can_be_taken_back() -> Outcome {
    let root = Uid::from_raw(0);
    setresuid(USER, USER, root)?;
    setresuid(USER, root, root)?;
    check_eq!(Uid::effective(), root);
    setresgid(Gid::from_raw(5), Gid::from_raw(6), Gid::from_raw(7))?;
    check_eq!(getresgid()?.saved, Gid::from_raw(7));
    Ok(())
}

fn groups_read_back() -> Outcome {
    let groups = [10, 20, 30].map(Gid::from_raw);
    setgroups(&groups)?;
    check_eq!(getgroups()?, groups.to_vec());
    child::passes(|| {
        check_eq!(getgroups()?, groups.to_vec());
        Ok(())
    })
}

fn setgroups_needs_privilege() -> Outcome {
    setuid(USER)?;
    check_fails!(setgroups(&[Gid::from_raw(0)]), EPERM);
    Ok(())
}

fn new_files_belong_to_the_effective_user() -> Outcome {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    setresgid(Gid::from_raw(2000), Gid::from_raw(2000), Gid::from_raw(2000))?;
    setresuid(USER, USER, USER)?;
    let metadata = File::create("mine")?.metadata()?;
    check_eq!((metadata.uid(), metadata.gid()), (1000, 2000));
    Ok(())
}

fn other_users_cannot_be_signalled() -> Outcome {
    let other = child::fork(|| {
        nix::unistd::pause();
        0
    })?;
    child::passes(|| {
        setuid(USER)?;
        check_fails!(other.kill(Signal::SIGTERM), EPERM);
        Ok(())
    })?;
    other.kill(Signal::SIGKILL)?;
    other.wait()?;
    Ok(())
}

fn umask_clears_bits() -> Outcome {
    let old = umask(Mode::from_bits_truncate(0o027));
    check_eq!(umask(Mode::from_bits_truncate(0o027)).bits(), 0o027);
    check!(old.bits() & !0o777 == 0);
    File::create("masked")?;
    fs::create_dir("masked.d")?;
    check_eq!(fs::metadata("masked")?.mode() & 0o7777, 0o640);
    check_eq!(fs::metadata("masked.d")?.mode() & 0o7777, 0o750);
    Ok(())
}

/// A copy of this program that belongs to another user and carries the set-user-ID bit.
fn set_user_id_copy() -> Outcome<&'static str> {
    fs::set_permissions(".", fs::Permissions::from_mode(0o777))?;
    fs::copy(program::SELF, "suid")?;
    std::os::unix::fs::chown("suid", Some(3000), Some(3000))?;
    fs::set_permissions("suid", fs::Permissions::from_mode(0o4755))?;
    Ok("./suid")
}

/// The real and effective user of a running program, from its status file, once the program has begun.
fn users_of(path: &str) -> Outcome<(String, String)> {
    let mut child =
        std::process::Command::new(path).arg("@announce").stdout(std::process::Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or_else(|| Failure::wrong("no output"))?;
    std::io::Read::read_exact(&mut output, &mut [0])?;
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    child.kill()?;
    child.wait()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let mut fields = line.split_whitespace().map(str::to_owned);
    Ok((fields.next().unwrap_or_default(), fields.next().unwrap_or_default()))
}

fn set_user_id_programs_change_the_effective_user() -> Outcome {
    let path = set_user_id_copy()?;
    check_eq!(users_of(path)?, ("0".to_owned(), "3000".to_owned()));
    Ok(())
}

fn no_new_privs_stops_set_user_id() -> Outcome {
    let path = set_user_id_copy()?;
    nix::sys::prctl::set_no_new_privs()?;
    check_eq!(users_of(path)?, ("0".to_owned(), "0".to_owned()));
    Ok(())
}
