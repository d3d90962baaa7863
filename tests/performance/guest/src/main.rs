//! Measures what a kernel costs: one static program that runs on Coffer and on stock Linux.
//!
//! As PID 1 it mounts what it needs, measures what `bench=` on the kernel command line names (all benchmarks if nothing
//! does) and powers off; or [`serve`]s the host, or makes [`container`]s, if it says so; as a normal program it takes names as arguments. A line is `name<TAB>value<TAB>unit`, or
//! `name<TAB>-<TAB>reason` where something could not be measured. [`bench`] says how, the other modules what.
#![expect(unsafe_code, reason = "what is measured are system calls, some of which have no safe wrapper")]

mod bench;
mod call;
mod channel;
mod container;
mod cpu;
mod file;
mod machine;
mod memory;
mod ready;
mod serve;
mod signal;
mod task;

use bench::Bench;

/// Every benchmark, in the order of the table.
const ALL: &[&[Bench]] = &[
    cpu::BENCHES,
    call::BENCHES,
    signal::BENCHES,
    ready::BENCHES,
    memory::BENCHES,
    file::BENCHES,
    task::BENCHES,
    channel::BENCHES,
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(task::NOTHING) => return,
        Some("list") => {
            ALL.iter().copied().flatten().for_each(|bench| println!("{}", bench.name));
            return;
        }
        _ => {}
    }
    if std::process::id() == 1 {
        machine::run();
    }
    measure(&arguments);
}

/// Measures what is named.
fn measure(names: &[String]) {
    for bench in ALL.iter().copied().flatten() {
        if names.is_empty() || names.iter().any(|name| name == bench.name) {
            bench.measure_in_child();
        }
    }
}
