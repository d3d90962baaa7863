//! Checks from inside of a trust domain that the simulated TDX module keeps to the rules.
//!
//! Each case is a row of [`cases::ALL`]; it prints `ok NAME` or `FAIL NAME: why`. The command line `case=NAME` picks one; those of
//! [`cases::PENDING`] and [`cases::FATAL`] run only when they are picked, for they want another domain, or end theirs.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a program for the bare machine that does what no kernel would")]

mod cases;
mod console;
mod machine;
mod td;

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("entry.S"), options(att_syntax));

/// How `coffer-tests` is told.
const PASSED: u8 = 0x10;
const FAILED: u8 = 0x31;

/// The first Rust code of a processor, with its number.
#[unsafe(no_mangle)]
extern "C" fn payload_start(number: u32) -> ! {
    if number != 0 {
        cases::processors::second();
    }
    machine::init();
    let line = machine::command_line();
    let wanted = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("case="));
    let mut failed = 0_u32;
    let fatal = cases::FATAL.iter().filter(|(name, _)| wanted == Some(name));
    let usual = cases::ALL.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let pending = cases::PENDING.iter().filter(|(name, _)| wanted == Some(name));
    for (name, case) in usual.chain(pending).chain(fatal) {
        match case() {
            Ok(()) => console::say(format_args!("ok {name}")),
            Err(why) => {
                console::say(format_args!("FAIL {name}: {why}"));
                failed += 1;
            }
        }
    }
    console::say(format_args!("{failed} failed"));
    td::exit(if failed == 0 { PASSED } else { FAILED })
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    console::say(format_args!("FAIL payload: {info}"));
    td::exit(FAILED)
}
