//! What a container sees of itself and of the machine: the same, whoever made it from the same configuration, on whatever kernel.

use std::fmt::Write as _;
use std::fs;

use crate::case::{Outcome, cases, check, check_eq};
use crate::runtimes::{RUNTIMES, Stage};

cases!("runtimes":
    runc_shows_the_usual_view,
    crun_shows_the_usual_view,
);

/// The view, line by line: what runc makes of our default configuration on Debian's kernel.
const USUAL: &str = include_str!("view.txt");

fn runc_shows_the_usual_view() -> Outcome {
    shows(RUNTIMES[0])
}

fn crun_shows_the_usual_view() -> Outcome {
    shows(RUNTIMES[1])
}

fn shows(runtime: &'static str) -> Outcome {
    let stage = Stage::new(runtime)?;
    stage.configure(&["@view"])?;
    let shown = stage.does(&["run", "viewed"])?;
    if shown != USUAL {
        // The whole of it, to compare or to keep.
        println!("{shown}");
    }
    for (shown, usual) in shown.lines().zip(USUAL.lines()) {
        check_eq!(shown, usual);
    }
    check_eq!(shown.lines().count(), USUAL.lines().count());
    check!(!shown.is_empty());
    Ok(())
}

/// What docker hides.
const HIDDEN: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What docker lets be looked at only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Describes the calling process's surroundings.
pub fn view() -> String {
    let mut text = String::new();
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        let _ = writeln!(text, "env {name}={value}");
    }
    let _ = writeln!(text, "hostname {}", nix::unistd::gethostname().unwrap_or_default().to_string_lossy());
    let _ = writeln!(text, "cwd {}", std::env::current_dir().unwrap_or_default().display());
    let _ = writeln!(text, "pid {}", std::process::id());
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| format!("{error}\n"));
    for line in read("/proc/self/status").lines() {
        let wanted = ["Umask", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:"];
        if wanted.iter().any(|start| line.starts_with(start)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let _ = writeln!(text, "status {}", words.join(" "));
        }
    }
    for line in read("/proc/self/limits").lines().filter(|line| line.contains("open files")) {
        let _ = writeln!(text, "limit {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    // Numbers, devices and sizes differ from one machine to the next, and so does what there is to hide.
    for line in read("/proc/self/mountinfo").lines().skip(1) {
        let (own, of_kind) = line.split_once(" - ").unwrap_or((line, ""));
        let own: Vec<&str> = own.split(' ').collect();
        let (place, flags) =
            (own.get(4).copied().unwrap_or_default(), own.get(5).copied().unwrap_or_default());
        if !place.starts_with("/proc/") && !place.starts_with("/sys/") {
            let _ = writeln!(text, "mount {place} {flags} {}", of_kind.split(' ').next().unwrap_or_default());
        }
    }
    let _ = write!(text, "cgroup {}", read("/proc/self/cgroup"));
    for path in HIDDEN {
        let is_empty = match fs::read_dir(path) {
            Ok(names) => names.count() == 0,
            Err(_) => fs::read(path).is_ok_and(|bytes| bytes.is_empty()),
        };
        let is_hidden = !fs::exists(path).unwrap_or(true) || is_empty;
        let _ = writeln!(text, "{path} is {}hidden", if is_hidden { "" } else { "not " });
    }
    for path in READ_ONLY {
        let flags = nix::sys::statvfs::statvfs(path).map(|facts| facts.flags());
        let is_read_only = flags.map_or(true, |flags| flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
        let _ = writeln!(text, "{path} is {}read-only", if is_read_only { "" } else { "not " });
    }
    let names = |path: &str| {
        let mut names: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names.join(" ")
    };
    // A link to /proc/kcore, where there is that.
    let _ = writeln!(text, "/dev {}", names("/dev").replace("core ", ""));
    let _ = writeln!(text, "/sys/class/net {}", names("/sys/class/net"));
    let _ = writeln!(text, "/proc/self/fd {}", names("/proc/self/fd"));
    text
}
