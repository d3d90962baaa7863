//! A kernel that tests ostd: runs its cases, prints `ok NAME` or `FAIL NAME: why` for each, and powers off. Cases under `dies/` end in a panic,
//! which the runner expects; they run only when named.
//!
//! `case=A,B` on the command line picks cases by the beginnings of their names. The runner is `tests/runner/src/ostd.rs`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod code;
mod crew;
mod death;
mod fork;
mod interrupts;
mod locks;
mod memory;
mod policy;
mod ring3;
mod shootdown;
mod spaces;
mod tasks;
mod timers;
mod vectors;

use alloc::format;
use alloc::string::String;

/// What a case comes to, with the reason if it fails.
type Outcome = Result<(), String>;

/// Ends a case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($why)+));
        }
    };
}
pub(crate) use ensure;

/// A case.
struct Case {
    name: &'static str,
    body: fn() -> Outcome,
}

/// Names the cases of an area: `cases!("area": one, two)` makes a list of functions of the module.
macro_rules! cases {
    ($area:literal: $($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] =
            &[$(crate::Case { name: concat!($area, "/", stringify!($name)), body: $name }),*];
    };
}
pub(crate) use cases;

const AREAS: &[&[Case]] = &[
    tasks::CASES,
    locks::CASES,
    timers::CASES,
    interrupts::CASES,
    memory::CASES,
    ring3::CASES,
    vectors::CASES,
    shootdown::CASES,
    fork::CASES,
];

ostd::entry!(main);

fn main() {
    policy::install();
    spaces::install_fault_handler();
    let cpus = ostd::cpu::start_others();
    say(&format!("{cpus} CPUs"));
    let chosen =
        ostd::boot::info().command_line.split_whitespace().find_map(|word| word.strip_prefix("case="));
    let is_chosen = |name: &str| match chosen {
        None => !name.starts_with("dies/"),
        Some(list) => list.split(',').any(|start| name.starts_with(start)),
    };
    let (mut passed, mut failed) = (0, 0);
    for case in AREAS.iter().copied().chain([death::CASES]).flatten().filter(|case| is_chosen(case.name)) {
        match (case.body)() {
            Ok(()) => {
                passed += 1;
                say(&format!("ok {}", case.name));
            }
            Err(why) => {
                failed += 1;
                say(&format!("FAIL {}: {why}", case.name));
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed"));
    ostd::power::off(ostd::power::Exit::Clean);
}

/// Prints a line.
fn say(line: &str) {
    ostd::console::write(format!("{line}\r\n").as_bytes());
}
