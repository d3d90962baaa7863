//! Mount namespaces: mount_namespaces(7).

use std::fs::{self, File};
use std::io::{Read as _, Write as _};

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::fs::own_mounts;

cases!("namespaces":
    mounts_stay_inside,
    a_new_namespace_starts_with_a_copy,
    a_container_root_can_be_built,
    mounts_of_others_do_not_keep_a_name,
    a_name_is_busy_for_who_has_mounted_on_it,
);

fn mounts_stay_inside() -> Outcome {
    fs::create_dir("dir")?;
    child::passes(|| {
        own_mounts()?;
        mount(Some("x"), "dir", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        File::create("dir/inside")?;
        Ok(())
    })?;
    check_fails!(fs::metadata("dir/inside"), ENOENT);
    // The mount ended with the namespace's last process, so the directory is free.
    fs::remove_dir("dir")?;
    Ok(())
}

fn a_new_namespace_starts_with_a_copy() -> Outcome {
    own_mounts()?;
    fs::create_dir("dir")?;
    mount(Some("x"), "dir", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    File::create("dir/file")?;
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        check!(fs::metadata("dir/file").is_ok());
        umount("dir")?;
        check_fails!(fs::metadata("dir/file"), ENOENT);
        Ok(())
    })?;
    check!(fs::metadata("dir/file").is_ok());
    umount("dir")?;
    Ok(())
}

fn a_container_root_can_be_built() -> Outcome {
    // Step by step what a container runtime does.
    child::passes(|| {
        own_mounts()?;
        fs::create_dir("root")?;
        mount(Some("x"), "root", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        for directory in ["proc", "dev", "tmp", "bin"] {
            fs::create_dir(format!("root/{directory}"))?;
        }
        fs::copy(crate::program::SELF, "root/bin/program")?;
        fs::set_permissions("root/bin/program", std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
        child::passes(|| {
            check_eq!(nix::unistd::getpid().as_raw(), 1);
            mount(Some("proc"), "root/proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
            let strict = MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME;
            mount(Some("tmpfs"), "root/dev", Some("tmpfs"), strict, Some("mode=755,size=65536k"))?;
            File::create("root/dev/null")?;
            mount(Some("/dev/null"), "root/dev/null", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            nix::unistd::chroot("root")?;
            std::env::set_current_dir("/")?;
            check_eq!(fs::read_link("/proc/self")?.as_os_str(), "1");
            let output = std::process::Command::new("/bin/program").arg("@pid").output()?;
            check_eq!(String::from_utf8_lossy(&output.stdout), "2\n");
            Ok(())
        })
    })
}

fn mounts_of_others_do_not_keep_a_name() -> Outcome {
    let (mut ready, mut ready_for) = std::io::pipe()?;
    let (mut gone, mut gone_for) = std::io::pipe()?;
    for name in ["removed", "replaced", "empty"] {
        fs::create_dir(name)?;
    }
    File::create("file")?;
    let other = child::fork_case(|| {
        own_mounts()?;
        for name in ["removed", "replaced"] {
            mount(Some("x"), name, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
            fs::create_dir(format!("{name}/inner"))?;
            mount(
                Some("x"),
                format!("{name}/inner").as_str(),
                Some("tmpfs"),
                MsFlags::empty(),
                None::<&str>,
            )?;
        }
        check_fails!(mount(Some("/"), "file", None::<&str>, MsFlags::MS_BIND, None::<&str>), ENOTDIR);
        mount(Some("/dev/null"), "file", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        ready_for.write_all(b"x")?;
        gone.read_exact(&mut [0])?;
        check_fails!(fs::metadata("removed"), ENOENT);
        check_fails!(fs::metadata("replaced/inner"), ENOENT);
        check_fails!(fs::metadata("file"), ENOENT);
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        check!(!["removed", "replaced", "/file"].iter().any(|name| mounts.contains(name)), "{mounts}");
        Ok(())
    })?;
    ready.read_exact(&mut [0])?;
    fs::remove_dir("removed")?;
    fs::rename("empty", "replaced")?;
    fs::remove_file("file")?;
    gone_for.write_all(b"x")?;
    check_eq!(other.exit_code()?, 0);
    Ok(())
}

fn a_name_is_busy_for_who_has_mounted_on_it() -> Outcome {
    child::passes(|| {
        own_mounts()?;
        fs::create_dir("dir")?;
        fs::create_dir("other")?;
        mount(Some("x"), "dir", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        check_fails!(fs::remove_dir("dir"), EBUSY);
        check_fails!(fs::rename("dir", "new"), EBUSY);
        check_fails!(fs::rename("other", "dir"), EBUSY);
        check_fails!(fs::remove_file("dir"), EISDIR);
        umount("dir")?;
        fs::remove_dir("dir")?;
        Ok(())
    })
}
