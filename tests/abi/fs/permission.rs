//! What other users may do (path_resolution(7), access(2)).

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::unistd::{AccessFlags, Gid, Uid, access, setgid, setgroups, setuid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("fs":
    file_modes_hold_for_others,
    directory_modes_hold_for_others,
    group_members_get_the_group_bits,
    the_owner_gets_the_owner_bits_only,
    root_may_do_everything_but_execute,
    the_sticky_bit_protects_names,
    only_the_owner_changes_modes_and_owners,
    access_uses_the_real_user,
    set_group_id_directories_hand_down_their_group,
);

fn set_mode(path: &str, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Runs a check as an unprivileged user, whose group is `group`.
fn as_user(user: u32, group: u32, body: impl FnOnce() -> Outcome) -> Outcome {
    child::passes(|| {
        setgroups(&[])?;
        setgid(Gid::from_raw(group))?;
        setuid(Uid::from_raw(user))?;
        body()
    })
}

fn file_modes_hold_for_others() -> Outcome {
    set_mode(".", 0o755)?;
    fs::write("secret", "x")?;
    fs::write("public", "x")?;
    set_mode("secret", 0o600)?;
    set_mode("public", 0o644)?;
    as_user(1000, 1000, || {
        check_fails!(File::open("secret"), EACCES);
        check!(File::open("public").is_ok());
        check_fails!(File::options().write(true).open("public"), EACCES);
        check_fails!(nix::unistd::truncate("public", 0), EACCES);
        check_eq!(fs::metadata("secret")?.len(), 1);
        Ok(())
    })
}

fn directory_modes_hold_for_others() -> Outcome {
    set_mode(".", 0o755)?;
    for (name, mode) in [("closed", 0o700), ("searchable", 0o711), ("listable", 0o744)] {
        fs::create_dir(name)?;
        fs::write(format!("{name}/file"), "x")?;
        set_mode(name, mode)?;
    }
    as_user(1000, 1000, || {
        check_fails!(fs::metadata("closed/file"), EACCES);
        check!(fs::read_to_string("searchable/file").is_ok());
        check_fails!(fs::read_dir("searchable"), EACCES);
        check_fails!(fs::metadata("listable/file"), EACCES);
        check_eq!(super::names("listable")?, ["file"]);
        check_fails!(File::create("searchable/new"), EACCES);
        check_fails!(fs::remove_file("searchable/file"), EACCES);
        check_fails!(std::env::set_current_dir("closed"), EACCES);
        Ok(())
    })
}

fn group_members_get_the_group_bits() -> Outcome {
    set_mode(".", 0o755)?;
    fs::write("file", "x")?;
    std::os::unix::fs::chown("file", Some(1), Some(500))?;
    set_mode("file", 0o640)?;
    as_user(1000, 500, || {
        check!(File::open("file").is_ok());
        Ok(())
    })?;
    as_user(1000, 501, || {
        check_fails!(File::open("file"), EACCES);
        Ok(())
    })?;
    child::passes(|| {
        setgroups(&[Gid::from_raw(7), Gid::from_raw(500)])?;
        setgid(Gid::from_raw(1000))?;
        setuid(Uid::from_raw(1000))?;
        check!(File::open("file").is_ok());
        Ok(())
    })
}

fn the_owner_gets_the_owner_bits_only() -> Outcome {
    set_mode(".", 0o755)?;
    fs::write("file", "x")?;
    std::os::unix::fs::chown("file", Some(1000), Some(1000))?;
    set_mode("file", 0o077)?;
    as_user(1000, 1000, || {
        check_fails!(File::open("file"), EACCES);
        Ok(())
    })
}

fn root_may_do_everything_but_execute() -> Outcome {
    fs::write("file", "#!/bin/sh\n")?;
    set_mode("file", 0o000)?;
    check!(File::options().read(true).write(true).open("file").is_ok());
    check!(access("file", AccessFlags::R_OK | AccessFlags::W_OK).is_ok());
    check_fails!(access("file", AccessFlags::X_OK), EACCES);
    Ok(())
}

fn the_sticky_bit_protects_names() -> Outcome {
    set_mode(".", 0o755)?;
    fs::create_dir("shared")?;
    set_mode("shared", 0o1777)?;
    fs::write("shared/roots", "x")?;
    as_user(1000, 1000, || {
        check_fails!(fs::remove_file("shared/roots"), EPERM);
        check_fails!(fs::rename("shared/roots", "shared/other"), EPERM);
        File::create("shared/own")?;
        fs::remove_file("shared/own")?;
        Ok(())
    })
}

fn only_the_owner_changes_modes_and_owners() -> Outcome {
    set_mode(".", 0o777)?;
    fs::write("roots", "x")?;
    as_user(1000, 1000, || {
        check_fails!(set_mode("roots", 0o777), EPERM);
        File::create("own")?;
        set_mode("own", 0o600)?;
        check_fails!(std::os::unix::fs::chown("own", Some(0), None), EPERM);
        check_fails!(std::os::unix::fs::chown("own", None, Some(0)), EPERM);
        std::os::unix::fs::chown("own", None, Some(1000))?;
        Ok(())
    })
}

fn access_uses_the_real_user() -> Outcome {
    set_mode(".", 0o755)?;
    fs::write("secret", "x")?;
    set_mode("secret", 0o600)?;
    check_fails!(access("missing", AccessFlags::F_OK), ENOENT);
    child::passes(|| {
        nix::unistd::setresuid(Uid::from_raw(1000), Uid::from_raw(0), Uid::from_raw(0))?;
        check!(File::open("secret").is_ok());
        check_fails!(access("secret", AccessFlags::R_OK), EACCES);
        Ok(())
    })
}

fn set_group_id_directories_hand_down_their_group() -> Outcome {
    fs::create_dir("dir")?;
    std::os::unix::fs::chown("dir", None, Some(700))?;
    set_mode("dir", 0o2755)?;
    File::create("dir/file")?;
    fs::create_dir("dir/inner")?;
    check_eq!(fs::metadata("dir/file")?.gid(), 700);
    check_eq!((fs::metadata("dir/inner")?.gid(), fs::metadata("dir/inner")?.mode() & 0o2000), (700, 0o2000));
    Ok(())
}
