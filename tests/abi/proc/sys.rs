//! sysfs as C libraries and lsblk read it.

use std::fs;

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("proc":
    sysfs_lists_the_online_cpus,
    sysfs_has_its_top_directories,
    sysfs_names_character_devices,
);

fn sysfs_lists_the_online_cpus() -> Outcome {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let mut count = 0;
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        count += last.parse::<usize>()? + 1 - first.parse::<usize>()?;
    }
    check_eq!(count, std::thread::available_parallelism()?.get());
    check!(fs::metadata("/sys/devices/system/cpu/cpu0")?.is_dir());
    Ok(())
}

fn sysfs_has_its_top_directories() -> Outcome {
    for name in ["block", "bus", "class", "dev", "devices", "fs", "kernel", "module"] {
        check!(fs::metadata(format!("/sys/{name}")).is_ok_and(|entry| entry.is_dir()), "no /sys/{name}");
    }
    check_fails!(fs::metadata("/sys/nonsense"), ENOENT);
    check!(fs::File::create("/sys/new").is_err());
    Ok(())
}

fn sysfs_names_character_devices() -> Outcome {
    check_eq!(fs::read_to_string("/sys/class/mem/null/dev")?, "1:3\n");
    check!(fs::read_to_string("/sys/class/mem/null/uevent")?.contains("DEVNAME=null"));
    Ok(())
}
