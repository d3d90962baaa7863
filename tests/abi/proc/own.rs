//! /proc/self and /proc/PID.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("proc":
    self_is_a_link_to_the_own_pid,
    stat_has_its_fields,
    status_tells_names_numbers_and_memory,
    cmdline_has_the_arguments,
    environ_has_the_environment,
    exe_cwd_and_root_are_links,
    fd_lists_open_files,
    fd_links_can_be_opened_again,
    fdinfo_tells_offset_and_flags,
    maps_lists_mappings,
    statm_and_status_agree,
    limits_lists_limits,
    a_zombie_and_a_missing_process,
    children_appear_and_disappear,
    limits_and_cgroups_of_others_are_readable,
    oom_score_adj_reads_back,
    thread_self_is_a_link_to_the_task,
    mem_reads_the_own_memory,
);

/// `Name: value` lines.
fn fields(path: &str) -> std::io::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path)?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

fn self_is_a_link_to_the_own_pid() -> Outcome {
    check_eq!(fs::read_link("/proc/self")?.as_os_str().to_string_lossy(), std::process::id().to_string());
    child::passes(|| {
        check_eq!(fs::read_link("/proc/self")?.as_os_str().to_string_lossy(), std::process::id().to_string());
        Ok(())
    })
}

fn stat_has_its_fields() -> Outcome {
    nix::sys::prctl::set_name(c"odd) name (")?;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let pid = std::process::id();
    check!(stat.starts_with(&format!("{pid} (odd) name () R ")), "{stat}");
    let rest: Vec<&str> = stat.trim_end().rsplit(") ").next().unwrap_or_default().split(' ').collect();
    check_eq!(rest.len(), 50);
    check_eq!(rest[1], nix::unistd::getppid().to_string());
    check_eq!(rest[2], nix::unistd::getpgrp().to_string());
    check_eq!(rest[3], nix::unistd::getsid(None)?.to_string());
    check_eq!(rest[17], "1");
    check!(rest[20].parse::<u64>()? > 100_000, "virtual size {}", rest[20]);
    Ok(())
}

fn status_tells_names_numbers_and_memory() -> Outcome {
    let status = fields("/proc/self/status")?;
    let value = |name: &str| status.get(name).cloned().ok_or_else(|| Failure::wrong(format!("no {name}")));
    check!(value("Name")?.starts_with("init") || value("Name")?.starts_with("coffer-abi"));
    check_eq!(value("Pid")?, std::process::id().to_string());
    check_eq!(value("Tgid")?, std::process::id().to_string());
    check_eq!(value("PPid")?, nix::unistd::getppid().to_string());
    check_eq!(value("Uid")?, "0\t0\t0\t0");
    check_eq!(value("Threads")?, "1");
    check!(value("State")?.starts_with('R'));
    for memory in ["VmSize", "VmRSS", "VmPeak", "VmHWM"] {
        let text = value(memory)?;
        check!(text.ends_with(" kB") && text.trim_end_matches(" kB").parse::<u64>()? > 0, "{memory}: {text}");
    }
    for set in ["SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd"] {
        check_eq!(value(set)?.len(), 16);
    }
    check_eq!(value("NoNewPrivs")?, "0");
    Ok(())
}

/// What a file of a running program holds; the program has begun when it has announced itself.
fn of_program(command: &mut std::process::Command, file: &str) -> Outcome<String> {
    let mut child = command.stdout(std::process::Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or_else(|| Failure::wrong("no output"))?;
    std::io::Read::read_exact(&mut output, &mut [0])?;
    let bytes = fs::read(format!("/proc/{}/{file}", child.id()))?;
    child.kill()?;
    child.wait()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cmdline_has_the_arguments() -> Outcome {
    let text = of_program(crate::program::command("@announce").arg("with space"), "cmdline")?;
    check_eq!(text, "/proc/self/exe\0@announce\0with space\0");
    Ok(())
}

fn environ_has_the_environment() -> Outcome {
    let text = of_program(crate::program::command("@announce").env_clear().env("A", "b"), "environ")?;
    check_eq!(text, "A=b\0");
    Ok(())
}

fn exe_cwd_and_root_are_links() -> Outcome {
    check_eq!(fs::read_link("/proc/self/cwd")?, std::env::current_dir()?);
    check_eq!(fs::read_link("/proc/self/root")?.as_os_str(), "/");
    check!(fs::read_link("/proc/self/exe")?.is_absolute());
    fs::create_dir("gone")?;
    std::env::set_current_dir("gone")?;
    fs::remove_dir("../gone")?;
    check!(fs::read_link("/proc/self/cwd")?.to_string_lossy().ends_with("/gone (deleted)"));
    Ok(())
}

fn fd_lists_open_files() -> Outcome {
    let file = File::create("file")?;
    let (reader, _writer) = nix::unistd::pipe()?;
    let link = |number: i32| fs::read_link(format!("/proc/self/fd/{number}"));
    check_eq!(link(file.as_raw_fd())?, std::env::current_dir()?.join("file"));
    let pipe = link(reader.as_raw_fd())?.to_string_lossy().into_owned();
    check_eq!(pipe, format!("pipe:[{}]", nix::sys::stat::fstat(&reader)?.st_ino));
    let numbers = fs::read_dir("/proc/self/fd")?.count();
    // Those two, the other end of the pipe, the standard three, and the listing's own.
    check_eq!(numbers, 7);
    fs::remove_file("file")?;
    check!(link(file.as_raw_fd())?.to_string_lossy().ends_with("/file (deleted)"));
    check_fails!(link(999), ENOENT);
    Ok(())
}

fn fd_links_can_be_opened_again() -> Outcome {
    fs::write("file", "text")?;
    let file = File::open("file")?;
    fs::remove_file("file")?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    check_eq!(fs::read_to_string(&path)?, "text");
    check_eq!(fs::metadata(&path)?.ino(), file.metadata()?.ino());
    check!(fs::symlink_metadata(&path)?.is_symlink());
    Ok(())
}

fn fdinfo_tells_offset_and_flags() -> Outcome {
    fs::write("file", "0123456789")?;
    let mut file = File::open("file")?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(7))?;
    let info = fields(&format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    check_eq!(info.get("pos").map(String::as_str), Some("7"));
    let flags = i32::from_str_radix(info.get("flags").map_or("0", String::as_str), 8)?;
    check!(flags & libc::O_CLOEXEC != 0 && flags & libc::O_ACCMODE == libc::O_RDONLY, "{flags:#o}");
    Ok(())
}

fn maps_lists_mappings() -> Outcome {
    fs::write("file", [0; 8192])?;
    let file = File::open("file")?;
    let memory = crate::memory::Mapping::of_file(
        &file,
        4096,
        4096,
        nix::sys::mman::ProtFlags::PROT_READ,
        nix::sys::mman::MapFlags::MAP_PRIVATE,
    )?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let start = format!("{:x}-{:x} ", memory.address(), memory.address() + 4096);
    let line = maps.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    check_eq!(words.len(), 6);
    check_eq!((words[1], words[2]), ("r--p", "00001000"));
    check_eq!(words[4], file.metadata()?.ino().to_string());
    check_eq!(std::path::Path::new(words[5]), std::env::current_dir()?.join("file"));
    for special in ["[stack]", "[heap]", "[vdso]"] {
        // musl makes no heap by brk unless it needs one.
        check!(special == "[heap]" || maps.contains(special), "no {special}");
    }
    check!(fs::read_to_string("/proc/self/smaps")?.contains("Rss:"));
    Ok(())
}

fn statm_and_status_agree() -> Outcome {
    let memory = crate::memory::Mapping::anonymous(16 << 20)?;
    let read = || -> Outcome<(u64, u64)> {
        let text = fs::read_to_string("/proc/self/statm")?;
        let pages = text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        check_eq!(pages.len(), 7);
        Ok((pages[0], pages[1]))
    };
    let before = read()?;
    memory.touch(1);
    let after = read()?;
    check!(after.1 >= before.1 + 4000, "resident {} and then {} pages", before.1, after.1);
    let status = fields("/proc/self/status")?;
    let size: u64 = status.get("VmSize").map_or("0", String::as_str).trim_end_matches(" kB").parse()?;
    check!(size / 4 >= after.0 - 100 && size / 4 <= after.0 + 100);
    Ok(())
}

fn limits_lists_limits() -> Outcome {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 123, 456)?;
    let text = fs::read_to_string("/proc/self/limits")?;
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    check_eq!(line.split_whitespace().collect::<Vec<_>>(), ["Max", "open", "files", "123", "456", "files"]);
    Ok(())
}

fn a_zombie_and_a_missing_process() -> Outcome {
    let child = child::fork(|| 0)?;
    child::until("a zombie", || Ok(child.state()? == 'Z'))?;
    check_eq!(fs::read(format!("/proc/{}/cmdline", child.pid))?, Vec::<u8>::new());
    check_fails!(fs::read_link(format!("/proc/{}/exe", child.pid)), ENOENT);
    child.wait()?;
    check_fails!(fs::read_to_string(format!("/proc/{}/stat", child.pid)), ENOENT);
    Ok(())
}

fn children_appear_and_disappear() -> Outcome {
    let is_listed = |pid: nix::unistd::Pid| -> Outcome<bool> {
        let mut is_there = false;
        for entry in fs::read_dir("/proc")? {
            is_there |= entry?.file_name().to_string_lossy() == pid.to_string();
        }
        Ok(is_there)
    };
    let child = child::fork(|| {
        nix::unistd::pause();
        0
    })?;
    check!(is_listed(child.pid)?);
    let open = File::open(format!("/proc/{}/stat", child.pid))?;
    child.kill(nix::sys::signal::Signal::SIGKILL)?;
    child.wait()?;
    check!(!is_listed(child.pid)?);
    check_fails!(std::io::Read::read(&mut &open, &mut [0; 16]), ESRCH);
    Ok(())
}

fn limits_and_cgroups_of_others_are_readable() -> Outcome {
    let child = child::fork(|| {
        nix::unistd::pause();
        0
    })?;
    check!(fs::read_to_string(format!("/proc/{}/limits", child.pid))?.contains("Max stack size"));
    check!(fs::read_to_string(format!("/proc/{}/cgroup", child.pid)).is_ok());
    child.kill(nix::sys::signal::Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn oom_score_adj_reads_back() -> Outcome {
    fs::write("/proc/self/oom_score_adj", "500")?;
    check_eq!(fs::read_to_string("/proc/self/oom_score_adj")?, "500\n");
    check_fails!(fs::write("/proc/self/oom_score_adj", "5000"), EINVAL);
    Ok(())
}

fn thread_self_is_a_link_to_the_task() -> Outcome {
    let pid = std::process::id();
    check_eq!(fs::read_link("/proc/thread-self")?.to_string_lossy(), format!("{pid}/task/{pid}"));
    Ok(())
}

fn mem_reads_the_own_memory() -> Outcome {
    let value = *b"find me here";
    let file = File::open("/proc/self/mem")?;
    let mut bytes = [0; 12];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, value.as_ptr() as u64)?;
    check_eq!(bytes, value);
    check_fails!(std::os::unix::fs::FileExt::read_at(&file, &mut bytes, 16), EIO);
    Ok(())
}
