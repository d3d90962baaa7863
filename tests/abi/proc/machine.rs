//! What /proc says of the whole machine.

use std::fs;

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("proc":
    meminfo_has_what_free_reads,
    cpuinfo_counts_the_cpus,
    stat_has_what_top_reads,
    loadavg_has_five_fields,
    version_and_sysctls_agree_with_uname,
    filesystems_lists_what_can_be_mounted,
    mounts_is_a_link_to_the_own_table,
    sysctls_read_as_programs_expect,
    small_reads_give_the_whole_text,
    the_tree_is_read_only_for_others,
);

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn meminfo_has_what_free_reads() -> Outcome {
    let text = fs::read_to_string("/proc/meminfo")?;
    let value = |name| number(&text, name).unwrap_or(u64::MAX);
    let (total, free, available) = (value("MemTotal"), value("MemFree"), value("MemAvailable"));
    check!(total < u64::MAX && free <= total && available <= total, "{total} {free} {available}");
    for name in
        ["Buffers", "Cached", "SReclaimable", "Shmem", "SwapTotal", "SwapFree", "Slab", "Committed_AS"]
    {
        check!(value(name) < total * 100, "no {name}");
    }
    let info = nix::sys::sysinfo::sysinfo()?;
    check_eq!(info.ram_total() / 1024, total);
    Ok(())
}

fn cpuinfo_counts_the_cpus() -> Outcome {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    check_eq!(count, std::thread::available_parallelism()?.get());
    check!(text.lines().any(|line| line.starts_with("flags") && line.contains(" sse2 ")));
    check!(text.lines().any(|line| line.starts_with("model name")));
    Ok(())
}

fn stat_has_what_top_reads() -> Outcome {
    let text = fs::read_to_string("/proc/stat")?;
    let first: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    check!(first[0] == "cpu" && first.len() >= 8, "{first:?}");
    for name in ["cpu0 ", "ctxt ", "btime ", "processes ", "procs_running ", "procs_blocked "] {
        check!(text.lines().any(|line| line.starts_with(name)), "no {name}");
    }
    let btime: u64 = text.lines().find_map(|line| line.strip_prefix("btime ")).unwrap_or("0").parse()?;
    check!(btime > 1_700_000_000, "booted at {btime}");
    Ok(())
}

fn loadavg_has_five_fields() -> Outcome {
    let text = fs::read_to_string("/proc/loadavg")?;
    let words: Vec<&str> = text.split_whitespace().collect();
    check_eq!(words.len(), 5);
    check!(words[0].parse::<f64>()? >= 0.0 && words[3].contains('/'));
    Ok(())
}

fn version_and_sysctls_agree_with_uname() -> Outcome {
    let name = nix::sys::utsname::uname()?;
    let release = name.release().to_string_lossy();
    check!(fs::read_to_string("/proc/version")?.starts_with(&format!("Linux version {release} ")));
    check_eq!(fs::read_to_string("/proc/sys/kernel/osrelease")?.trim_end(), release);
    check_eq!(fs::read_to_string("/proc/sys/kernel/ostype")?, "Linux\n");
    check_eq!(fs::read_to_string("/proc/sys/kernel/hostname")?.trim_end(), name.nodename().to_string_lossy());
    Ok(())
}

fn filesystems_lists_what_can_be_mounted() -> Outcome {
    let text = fs::read_to_string("/proc/filesystems")?;
    for name in ["proc", "sysfs", "tmpfs", "devtmpfs"] {
        check!(text.lines().any(|line| line == format!("nodev\t{name}")), "no {name}");
    }
    Ok(())
}

fn mounts_is_a_link_to_the_own_table() -> Outcome {
    check_eq!(fs::read_link("/proc/mounts")?.as_os_str(), "self/mounts");
    let text = fs::read_to_string("/proc/mounts")?;
    check!(
        text.lines().any(|line| line.split(' ').nth(1) == Some("/proc") && line.contains(" proc ")),
        "{text}"
    );
    check!(text.lines().all(|line| line.split(' ').count() == 6));
    Ok(())
}

fn sysctls_read_as_programs_expect() -> Outcome {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/{name}"));
    check!(read("kernel/pid_max")?.trim().parse::<u32>()? >= 32_768);
    check!(read("vm/max_map_count")?.trim().parse::<u32>()? >= 65_530);
    check!(read("fs/file-max")?.trim().parse::<u64>()? > 1000);
    check!(read("fs/nr_open")?.trim().parse::<u64>()? >= 1024);
    check!(matches!(read("vm/overcommit_memory")?.trim(), "0" | "1" | "2"));
    check!(read("kernel/cap_last_cap")?.trim().parse::<u32>()? >= 30);
    let (first, second) = (read("kernel/random/uuid")?, read("kernel/random/uuid")?);
    check!(first.trim().len() == 36 && first != second);
    check_eq!(read("kernel/random/boot_id")?, read("kernel/random/boot_id")?);
    check_fails!(read("kernel/nonsense"), ENOENT);
    Ok(())
}

fn small_reads_give_the_whole_text() -> Outcome {
    let whole = fs::read("/proc/filesystems")?;
    let file = fs::File::open("/proc/filesystems")?;
    let mut pieces = Vec::new();
    let mut buffer = [0; 7];
    loop {
        match std::io::Read::read(&mut &file, &mut buffer)? {
            0 => break,
            count => pieces.extend_from_slice(&buffer[..count]),
        }
    }
    check!(pieces == whole);
    let mut part = [0; 5];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut part, 3)?;
    check_eq!(part, whole[3..8]);
    Ok(())
}

fn the_tree_is_read_only_for_others() -> Outcome {
    check!(fs::File::create("/proc/new").is_err());
    check!(fs::create_dir("/proc/dir").is_err());
    check!(fs::remove_file("/proc/version").is_err());
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check_fails!(fs::write("/proc/sys/kernel/hostname", "x"), EACCES);
    Ok(())
}
