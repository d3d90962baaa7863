//! The machines that Coffer must come up on: one CPU and two, little memory and much, firmware and none.

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
