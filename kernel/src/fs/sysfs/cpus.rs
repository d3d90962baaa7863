//! /sys/devices/system/cpu and node: how many CPUs there are, which C libraries and lscpu(1) read here.

use super::line;
use crate::error::Result;
use crate::fs::synthetic::{Directory, Source, Text};
use alloc::format;
use alloc::string::String;

/// The most CPUs (ostd's bound: one word of bits).
const MAX: usize = 64;

/// The CPUs that run, as `0-3`. Asked when it is read: they come up after the tree is made.
fn show_all(text: &mut Text) -> Result<()> {
    match ostd::cpu::count() {
        1 => line(text, 0),
        count => line(text, format_args!("0-{}", count - 1)),
    }
}

/// Fills /sys/devices/system.
pub fn fill(system: &Directory) {
    let cpus = system.subdirectory("cpu");
    for name in ["online", "possible", "present"] {
        cpus.text(name, show_all);
    }
    cpus.text("offline", |text| line(text, ""));
    cpus.text("isolated", |text| line(text, ""));
    cpus.text("kernel_max", |text| line(text, MAX - 1));
    for cpu in 0..ostd::cpu::count() {
        let topology = cpus.subdirectory(&format!("cpu{cpu}")).subdirectory("topology");
        topology.file("core_id", 0o444, format!("{cpu}\n"));
        topology.file("physical_package_id", 0o444, "0\n");
        for name in ["thread_siblings_list", "core_cpus_list"] {
            topology.file(name, 0o444, format!("{cpu}\n"));
        }
        for name in ["thread_siblings", "core_cpus"] {
            topology.file(name, 0o444, Mask { first: cpu, last: cpu });
        }
        for name in ["core_siblings_list", "package_cpus_list"] {
            topology.text(name, show_all);
        }
        for name in ["core_siblings", "package_cpus"] {
            topology.file(name, 0o444, Mask { first: 0, last: ostd::cpu::count() - 1 });
        }
    }
    let node = system.subdirectory("node");
    for name in ["online", "possible", "has_cpu", "has_memory", "has_normal_memory"] {
        node.text(name, |text| line(text, 0));
    }
    let node = node.subdirectory("node0");
    node.text("cpulist", show_all);
    node.file("cpumap", 0o444, Mask { first: 0, last: ostd::cpu::count() - 1 });
    node.text("distance", |text| line(text, 10));
}

/// CPUs as bits.
#[derive(Debug)]
struct Mask {
    first: usize,
    last: usize,
}

impl Source for Mask {
    fn show(&self, text: &mut Text) -> Result<()> {
        let bits = (self.first..=self.last).fold(0_u64, |bits, cpu| bits | 1 << cpu);
        let words = if bits >> 32 == 0 {
            format!("{bits:x}")
        } else {
            format!("{:x},{:08x}", bits >> 32, bits & 0xffff_ffff)
        };
        line(text, String::as_str(&words))
    }
}
