//! What docker gives a container unless told otherwise: mounts, capabilities, limits, hidden and read-only paths.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capabilities, Capability, Mount, MountBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
};

use crate::Error;

/// `PATH` when neither image nor user sets it.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Paths of /proc and /sys that tell about or act on the machine rather than the container.
pub const MASKED: [&str; 12] = [
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

/// Paths of /proc that may be looked at only.
pub const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The size of /dev/shm, in bytes.
pub const SHM_SIZE: u64 = 64 << 20;

/// Every capability that there is.
#[must_use]
pub fn all_capabilities() -> Capabilities {
    rustix::thread::CapabilitySet::all()
        .iter_names()
        .filter_map(|(name, _)| name.trim_start_matches("CAP_").parse().ok())
        .collect()
}

/// The 14 capabilities of docker's default set.
#[must_use]
pub fn capabilities() -> Capabilities {
    Capabilities::from([
        Capability::AuditWrite,
        Capability::Chown,
        Capability::DacOverride,
        Capability::Fowner,
        Capability::Fsetid,
        Capability::Kill,
        Capability::Mknod,
        Capability::NetBindService,
        Capability::NetRaw,
        Capability::Setfcap,
        Capability::Setgid,
        Capability::Setpcap,
        Capability::Setuid,
        Capability::SysChroot,
    ])
}

/// Open files: 1024, which programs may raise themselves. A soft limit as high as the hard one makes programs that close
/// every possible descriptor slow, which is why docker came down to this, too.
///
/// # Errors
///
/// None that happens.
pub fn limits() -> Result<Vec<PosixRlimit>, Error> {
    // Not more than the runtime itself has: raising it takes a capability that a sandbox may not grant.
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let files = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitNofile)
        .soft(hard.min(1024))
        .hard(hard.min(524_288));
    Ok(vec![files.build().map_err(|_| Error::Incomplete("process.rlimits"))?])
}

/// The file systems of a container, in the order in which they are mounted. `pty_folder` holds the devpts that the
/// container's terminal was taken from, if it has one; it is the container's /dev/pts then.
///
/// # Errors
///
/// None that happens: builders that are given everything do not fail.
pub fn mounts(pty_folder: Option<&Path>, shm_size: Option<u64>) -> Result<Vec<Mount>, Error> {
    const PROTECTED: [&str; 3] = ["nosuid", "noexec", "nodev"];
    let shm_size = format!("size={}", shm_size.unwrap_or(SHM_SIZE));
    let virtual_mount = |destination, kind: &str, more: &[&str]| {
        mount(destination, kind, &PathBuf::from(kind), &[&PROTECTED[..], more].concat())
    };
    let pts = match pty_folder {
        Some(folder) => mount("/dev/pts", "bind", folder, &["bind", "nosuid", "noexec"])?,
        None => {
            let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
            mount("/dev/pts", "devpts", Path::new("devpts"), &options)?
        }
    };
    Ok(vec![
        virtual_mount("/proc", "proc", &[])?,
        mount("/dev", "tmpfs", Path::new("tmpfs"), &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        pts,
        virtual_mount("/sys", "sysfs", &["ro"])?,
        virtual_mount("/dev/mqueue", "mqueue", &[])?,
        virtual_mount("/dev/shm", "tmpfs", &["mode=1777", &shm_size])?,
    ])
}

/// The control groups, from the container's own down.
///
/// # Errors
///
/// None that happens, as above.
pub fn cgroup() -> Result<Mount, Error> {
    mount("/sys/fs/cgroup", "cgroup", Path::new("cgroup"), &["nosuid", "noexec", "nodev", "ro"])
}

/// Takes `ro` away.
///
/// # Errors
///
/// None that happens, as above.
pub fn make_writable(mount: &mut Mount) -> Result<(), Error> {
    let mut options = mount.options().clone().unwrap_or_default();
    options.retain(|option| option != "ro");
    mount.set_options(Some(options));
    Ok(())
}

/// One mount.
///
/// # Errors
///
/// None that happens, as above.
pub fn mount(destination: &str, kind: &str, source: &Path, options: &[&str]) -> Result<Mount, Error> {
    MountBuilder::default()
        .destination(destination)
        .typ(kind)
        .source(source)
        .options(options.iter().map(ToString::to_string).collect::<Vec<_>>())
        .build()
        .map_err(|_| Error::Incomplete("mounts"))
}
