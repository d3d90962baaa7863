//! The program as PID 1: mounts, idle memory, benchmarks or what the command line asks for instead of them, power off.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::time::{ClockId, clock_gettime};

use crate::{container, serve};

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
    load_modules();
    // TCP and UDP are measured over the loopback interface, which is down at first.
    if let Err(error) = link_up("lo", None) {
        println!("bench: lo: {error}");
    }
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let word = |name: &str| command_line.split_whitespace().find_map(|word| word.strip_prefix(name));
    if word("serve").is_some() {
        serve::run();
    }
    if let Some(rounds) = word("containers=").and_then(|count| count.parse().ok()) {
        container::run(rounds);
        power_off();
    }
    // Until what the kernel does in the background after its start has settled.
    std::thread::sleep(Duration::from_secs(2));
    report_idle_memory();
    let names = word("bench=").unwrap_or_default();
    let names: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    crate::measure(&names);
    power_off();
}

fn power_off() -> ! {
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

/// Brings a link up, with an address and its netmask where one is given (netdevice(7)).
pub fn link_up(name: &str, address: Option<(Ipv4Addr, Ipv4Addr)>) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let set = |operation: libc::Ioctl, fill: &dyn Fn(&mut libc::ifreq)| -> io::Result<()> {
        // SAFETY: all zeroes are a valid request.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // One byte less than there is room for: the name ends with a zero.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        fill(&mut request);
        // SAFETY: the request is a live local that the kernel only reads.
        match unsafe { libc::ioctl(socket.as_raw_fd(), operation, &raw const request) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    if let Some((address, netmask)) = address {
        set(libc::SIOCSIFADDR as libc::Ioctl, &|request| {
            request.ifr_ifru.ifru_addr = sockaddr(address);
        })?;
        set(libc::SIOCSIFNETMASK as libc::Ioctl, &|request| {
            request.ifr_ifru.ifru_netmask = sockaddr(netmask);
        })?;
    }
    set(libc::SIOCSIFFLAGS as libc::Ioctl, &|request| {
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    })
}

/// The address as the requests carry it: `struct sockaddr_in`, whose address stands after family and port.
fn sockaddr(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..].iter_mut().zip(address.octets()) {
        *to = from.cast_signed();
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data }
}

/// Loads what Debian's kernel has as modules, in the order of their numbers. Coffer is given none.
fn load_modules() {
    for number in 1.. {
        let Ok(module) = File::open(format!("/module{number}.ko")) else { return };
        if let Err(error) = finit_module(&module, c"", ModuleInitFlags::empty()) {
            println!("bench: module {number}: {error}");
        }
    }
}
