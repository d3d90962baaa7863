//! Files: of the machine, of the kernel, of the runtime, and devices.

use std::fs::{self, File, OpenOptions};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("escape":
    core_patterns_cannot_be_written,
    settings_of_the_kernel_cannot_be_written,
    magic_requests_cannot_be_made,
    the_kernels_memory_is_empty,
    firmware_is_hidden,
    sysfs_cannot_be_written,
    folders_of_the_kernel_cannot_be_made,
    a_disk_cannot_be_opened,
    the_machines_memory_cannot_be_opened,
    the_kernels_messages_cannot_be_opened,
    the_machines_console_cannot_be_opened,
    the_usual_devices_can_be_opened,
    another_root_leads_no_further,
    process_one_has_the_same_root,
    the_runtime_leaves_no_descriptors,
    the_running_program_cannot_be_overwritten,
    the_parents_memory_is_out_of_sight,
    bindings_of_masked_paths_stay,
);

fn write(path: &str) -> std::io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn core_patterns_cannot_be_written() -> Outcome {
    check_fails!(write("/proc/sys/kernel/core_pattern"), EROFS);
    Ok(())
}

fn settings_of_the_kernel_cannot_be_written() -> Outcome {
    check_fails!(write("/proc/sys/kernel/hostname"), EROFS);
    check_fails!(write("/proc/sys/vm/drop_caches"), EROFS);
    check_fails!(fs::write("/proc/sys/net/ipv4/ip_forward", "1"), EROFS);
    Ok(())
}

fn magic_requests_cannot_be_made() -> Outcome {
    // There is none where the kernel has none.
    if fs::exists("/proc/sysrq-trigger")? {
        check_fails!(write("/proc/sysrq-trigger"), EROFS);
    }
    Ok(())
}

fn the_kernels_memory_is_empty() -> Outcome {
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        if fs::exists(path)? {
            check_eq!(fs::read(path)?.len(), 0);
        }
    }
    Ok(())
}

fn firmware_is_hidden() -> Outcome {
    if fs::exists("/sys/firmware")? {
        check_eq!(fs::read_dir("/sys/firmware")?.count(), 0);
        check_fails!(fs::create_dir("/sys/firmware/x"), EROFS);
    }
    Ok(())
}

fn sysfs_cannot_be_written() -> Outcome {
    check_fails!(write("/sys/class/net/lo/mtu"), EROFS);
    Ok(())
}

fn folders_of_the_kernel_cannot_be_made() -> Outcome {
    check_fails!(fs::create_dir("/sys/x"), EROFS);
    Ok(())
}

/// Makes a device file and opens it.
fn open_made(name: &str, kind: SFlag, major: u64, minor: u64) -> std::io::Result<File> {
    mknod(name, kind, Mode::from_bits_truncate(0o600), makedev(major, minor))?;
    OpenOptions::new().read(true).open(name)
}

fn a_disk_cannot_be_opened() -> Outcome {
    check_fails!(open_made("sda", SFlag::S_IFBLK, 8, 0), EPERM);
    check_fails!(open_made("vda", SFlag::S_IFBLK, 254, 0), EPERM);
    Ok(())
}

fn the_machines_memory_cannot_be_opened() -> Outcome {
    check_fails!(open_made("mem", SFlag::S_IFCHR, 1, 1), EPERM);
    Ok(())
}

fn the_kernels_messages_cannot_be_opened() -> Outcome {
    check_fails!(open_made("kmsg", SFlag::S_IFCHR, 1, 11), EPERM);
    Ok(())
}

fn the_machines_console_cannot_be_opened() -> Outcome {
    check_fails!(open_made("ttyS0", SFlag::S_IFCHR, 4, 64), EPERM);
    Ok(())
}

fn the_usual_devices_can_be_opened() -> Outcome {
    open_made("null", SFlag::S_IFCHR, 1, 3)?;
    open_made("random", SFlag::S_IFCHR, 1, 8)?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        OpenOptions::new().read(true).write(true).open(format!("/dev/{name}"))?;
    }
    Ok(())
}

fn another_root_leads_no_further() -> Outcome {
    let above = fs::metadata("/")?;
    fs::create_dir("inner")?;
    child::passes(|| {
        let outside = File::open(".")?;
        nix::unistd::chroot("inner")?;
        nix::unistd::fchdir(&outside)?;
        for _ in 0..32 {
            std::env::set_current_dir("..")?;
        }
        // The way up ends at the container's root.
        check!(fs::exists("abi")? && !fs::exists("bundle")?);
        Ok(())
    })?;
    check!(above.is_dir());
    Ok(())
}

fn process_one_has_the_same_root() -> Outcome {
    check!(fs::exists("/proc/1/root/abi")? && !fs::exists("/proc/1/root/bundle")?);
    check!(fs::exists("/proc/1/cwd/abi")?);
    Ok(())
}

fn the_runtime_leaves_no_descriptors() -> Outcome {
    let mut open: Vec<String> = fs::read_dir("/proc/1/fd")?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    open.sort();
    check_eq!(open, ["0", "1", "2"]);
    for name in open {
        let target = fs::read_link(format!("/proc/1/fd/{name}"))?;
        check!(!target.is_dir(), "{} is a directory", target.display());
    }
    Ok(())
}

fn the_running_program_cannot_be_overwritten() -> Outcome {
    check_fails!(write("/proc/1/exe"), ETXTBSY);
    check_fails!(write("/proc/self/exe"), ETXTBSY);
    check_eq!(fs::read_link("/proc/1/exe")?.as_os_str(), "/abi");
    Ok(())
}

fn the_parents_memory_is_out_of_sight() -> Outcome {
    let numbers: Vec<u32> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok())
        .collect();
    // Process 1, this one, and nobody else.
    check_eq!(numbers.len(), 2);
    check_fails!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(30_000), None), ESRCH);
    check_eq!(nix::unistd::getppid().as_raw(), 1);
    Ok(())
}

fn bindings_of_masked_paths_stay() -> Outcome {
    check_fails!(fs::rename("/proc/kcore", "/tmp/kcore"), EXDEV);
    check_fails!(nix::mount::umount("/proc/kcore"), EPERM);
    Ok(())
}
