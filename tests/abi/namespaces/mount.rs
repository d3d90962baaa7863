//! Mount namespaces: mount_namespaces(7).

use std::fs::{self, File};

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::fs::own_mounts;

cases!("namespaces":
    mounts_stay_inside,
    a_new_namespace_starts_with_a_copy,
    a_container_root_can_be_built,
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
