//! The machines that Coffer must come up on: one CPU and two, little memory and much, firmware and none, disks of every kind.

use coffer_harness::DiskBus;
use coffer_image_builder::format::Format;

use super::{Picture, Test, command};
use crate::machine::Setting;

pub fn tests() -> Vec<Test> {
    vec![
        shape("one_cpu_512_mib", 1, 512, false),
        shape("two_cpus_512_mib", 2, 512, false),
        shape("one_cpu_4_gib", 1, 4096, false),
        shape("two_cpus_4_gib", 2, 4096, false),
        shape("uefi_one_cpu_512_mib", 1, 512, true),
        shape("uefi_two_cpus_4_gib", 2, 4096, true),
        booted("uefi_nvme", DiskBus::Nvme, Format::Raw),
        booted("uefi_virtio_scsi", DiskBus::VirtioScsi, Format::Raw),
        booted("uefi_qcow2", DiskBus::VirtioBlk, Format::Qcow2),
        booted("uefi_vhd", DiskBus::VirtioBlk, Format::Vhd),
    ]
}

/// A container that sees all CPUs and at least 80 % of the memory, but no more than there is.
fn shape(name: &'static str, cpus: u32, memory_mib: u32, is_uefi: bool) -> Test {
    let (least_kib, most_kib) = (u64::from(memory_mib) * 1024 * 8 / 10, u64::from(memory_mib) * 1024);
    let script = format!(
        "nproc; awk '/^MemTotal/ {{ print $2 }}' /proc/meminfo; test $(nproc) = {cpus} && \
         awk '/^MemTotal/ {{ exit !($2 >= {least_kib} && $2 <= {most_kib}) }}' /proc/meminfo"
    );
    let setting = Setting { cpus, memory_mib, is_uefi, ..command(&["sh", "-c", &script]) };
    Test { name, image: Picture::Busybox, setting, expect: |outcome| outcome.expect_exit(0) }
}

/// Firmware starts the image from such a disk, and the runtime reads the container's image, every byte of it hashed, from another one beside it.
fn booted(name: &'static str, disk_bus: DiskBus, form: Format) -> Test {
    let setting = Setting { is_uefi: true, disk_bus, form, ..command(&["echo", "here"]) };
    Test { name, image: Picture::Busybox, setting, expect: |outcome| outcome.expect_output("here\n") }
}
