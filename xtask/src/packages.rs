//! What the host needs besides the Rust toolchain: each program, and the Debian package that brings it.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

/// One program (or file) and its package.
#[derive(Debug)]
pub struct Requirement {
    /// A program's name, or an absolute path or the start of one.
    pub what: &'static str,
    /// The package.
    pub package: &'static str,
}

const fn requirement(what: &'static str, package: &'static str) -> Requirement {
    Requirement { what, package }
}

/// For `run`.
pub const RUN: &[Requirement] =
    &[requirement("qemu-system-x86_64", "qemu-system-x86"), requirement("/usr/share/ovmf/OVMF.fd", "ovmf")];

/// For images assembled from Debian packages: `run` without an image, and the tests.
pub const IMAGES: &[Requirement] = &[requirement("mmdebstrap", "mmdebstrap")];

/// For the tests and benchmarks alone: independent readers of our formats, libvirt, a static busybox, the kernel to compare with,
/// registries and clients of servers.
pub const TEST: &[Requirement] = &[
    requirement("cpio", "cpio"),
    requirement("fsck.vfat", "dosfstools"),
    requirement("mcopy", "mtools"),
    requirement("go", "golang-go"),
    requirement("objdump", "binutils"),
    requirement("libvirtd", "libvirt-daemon"),
    requirement(
        "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
        "libvirt-daemon-driver-qemu",
    ),
    requirement("openssl", "openssl"),
    requirement("qemu-img", "qemu-utils"),
    requirement("sgdisk", "gdisk"),
    requirement("skopeo", "skopeo"),
    requirement("virsh", "libvirt-clients"),
    requirement("wrk", "wrk"),
    requirement("redis-benchmark", "redis-tools"),
    requirement("xorriso", "xorriso"),
    requirement("xz", "xz-utils"),
    requirement("zstd", "zstd"),
    requirement("/bin/busybox", "busybox-static"),
    requirement("/usr/lib/python3.11/ensurepip", "python3-venv"),
    requirement("/boot/vmlinuz-*-cloud-amd64", "linux-image-cloud-amd64"),
];

/// For the build in Nix's sandbox, over the host's tools.
pub const NIX: &[Requirement] = &[
    requirement("nix-build", "nix-bin"),
    requirement("patchelf", "patchelf"),
    requirement("/bin/busybox", "busybox-static"),
];

/// For the fuzzer, which is C++.
pub const FUZZ: &[Requirement] = &[requirement("c++", "g++")];

/// For the benchmarks alone: the container runtime to compare with.
pub const BENCH: &[Requirement] = &[requirement("crun", "crun")];

impl Requirement {
    /// Whether it is there. A `*` in a file name stands for anything.
    pub fn is_met(&self) -> bool {
        let path = Path::new(self.what);
        let Some((start, end)) = self.what.split_once('*') else {
            return if path.is_absolute() { path.exists() } else { is_on_path(self.what) };
        };
        let folder = Path::new(start).parent().map(Path::read_dir);
        let Some(Ok(entries)) = folder else { return false };
        entries.flatten().any(|entry| {
            let name = entry.path();
            let name = name.as_os_str().as_encoded_bytes();
            name.starts_with(start.as_bytes()) && name.ends_with(end.as_bytes())
        })
    }
}

/// Programs of the system administrator are looked for as well: `sbin` is not on every user's PATH.
pub fn is_on_path(program: impl AsRef<OsStr>) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program.as_ref()).exists())
}
