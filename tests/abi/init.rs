//! The program as PID 1 of an initramfs: mounts, runs what the kernel command line names, powers off.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use crate::run;

/// What is mounted where. The root is the initramfs; nothing else is needed.
const MOUNTS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")];

/// Runs as PID 1 and never returns.
pub fn main() -> ! {
    println!("abi: init runs");
    for (kind, target) in MOUNTS {
        let _ = fs::create_dir_all(target);
        if let Err(error) = mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>) {
            println!("abi: mount {kind} on {target}: {error}");
        }
    }
    let _ = fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777));
    mount_terminals();
    load_modules();
    bring_loopback_up();

    let filters = selected();
    println!("abi: filters: {filters:?}");
    let selected = crate::all().filter(|case| run::is_selected(case.name, &filters));
    let (contained, here): (Vec<_>, Vec<_>) =
        selected.partition(|case| case.name.starts_with(crate::escape::AREA));
    println!("{}", run::run(here.into_iter()));
    if !contained.is_empty() {
        crate::escape::run_contained(&contained);
    }

    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    println!("abi: power off: {error}");
    loop {
        std::thread::park();
    }
}

fn mount_terminals() {
    let _ = fs::create_dir_all("/dev/pts");
    let options = Some("ptmxmode=0666");
    if let Err(error) = mount(Some("devpts"), "/dev/pts", Some("devpts"), MsFlags::empty(), options) {
        println!("abi: mount devpts on /dev/pts: {error}");
    }
}

fn bring_loopback_up() {
    let result = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // SAFETY: all zeros are a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        let socket = std::os::fd::AsRawFd::as_raw_fd(&socket);
        // SAFETY: the kernel only reads the request.
        let result = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as libc::Ioctl, &raw const request) };
        if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    });
    if let Err(error) = result {
        println!("abi: bring lo up: {error}");
    }
}

/// Loads the modules that the oracle needs, in the order of their numbers. Coffer's initramfs has none.
fn load_modules() {
    for number in 1.. {
        let name = format!("/module{number}.ko");
        let Ok(module) = fs::File::open(&name) else { return };
        let fd = std::os::fd::AsRawFd::as_raw_fd(&module).unsigned_abs() as usize;
        let arguments = [fd, c"".as_ptr() as usize, 0];
        // SAFETY: the module is the kernel's own; the parameters are an empty string.
        let result = unsafe { crate::raw::syscall(libc::SYS_finit_module, arguments) };
        if let Err(error) = result {
            println!("abi: load {name}: {error}");
        }
    }
}

/// The filters of `abi=a,b` on the kernel command line; all cases when there are none.
fn selected() -> Vec<String> {
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let from_line =
        command_line.split_whitespace().find_map(|word| word.strip_prefix("abi=")).map(str::to_owned);
    let text = from_line.or_else(|| std::env::var("abi").ok()).unwrap_or_default();
    text.split(',').filter(|filter| !filter.is_empty()).map(str::to_owned).collect()
}
