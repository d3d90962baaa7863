//! The program as PID 1: mounts, idle memory, benchmarks, power off.

use std::fs;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::time::{ClockId, clock_gettime};

const MOUNTS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")];

/// Runs as PID 1 and never returns.
pub fn run() -> ! {
    println!("bench: first line of user space");
    for (kind, target) in MOUNTS {
        let _ = fs::create_dir_all(target);
        if let Err(error) = mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>) {
            println!("bench: mount {kind} on {target}: {error}");
        }
    }
    loopback_up();
    // Until what the kernel does in the background after its start has settled.
    std::thread::sleep(Duration::from_secs(2));
    report_idle_memory();
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let names =
        command_line.split_whitespace().find_map(|word| word.strip_prefix("bench=")).unwrap_or_default();
    let names: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    crate::measure(&names);
    println!("bench: done");
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    println!("bench: power off: {error}");
    loop {
        std::thread::park();
    }
}

/// MemTotal - MemFree, with one small process and empty caches.
fn report_idle_memory() {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let value = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    match (value("MemTotal"), value("MemFree")) {
        (Some(total), Some(free)) => println!("idle_memory\t{:.1}\tMiB", (total - free) / 1024.0),
        _ => println!("idle_memory\t-\tno such lines in /proc/meminfo"),
    }
    if let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) {
        println!("bench: {:.3} s after the start of the clock", Duration::from(time).as_secs_f64());
    }
}

/// TCP and UDP are measured over the loopback interface, which is down at first.
fn loopback_up() {
    // SAFETY: opens a socket.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    if socket < 0 {
        return;
    }
    // SAFETY: all zeroes are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l'.cast_signed(), b'o'.cast_signed()]);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the request is a live local.
    let result = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as libc::Ioctl, &raw const request) };
    if result < 0 {
        println!("bench: lo: {}", std::io::Error::last_os_error());
    }
    // SAFETY: the socket is this function's own.
    unsafe { libc::close(socket) };
}
