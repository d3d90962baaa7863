//! ostd: the machine behind safe types. The only kernel-side crate with `unsafe` (rule 9).
//!
//! Its contract: no safe call sequence from `kernel` causes undefined behaviour. `README.md` beside this crate lists
//! what the kernel may assume. Start reading at [`boot`] for how we come up, [`user`] for the doorway to ring 3,
//! [`mm`] for memory and [`task`] for what runs.
#![no_std]
#![expect(unsafe_code, reason = "the crate that may (house rule 9)")]
#![cfg_attr(
    not(target_os = "none"),
    expect(
        dead_code,
        reason = "libraries that are tested on the host link what the machine's half and the tests call"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(target_os = "none", test))]
pub(crate) mod acpi;
pub mod boot;
pub mod console;
pub mod cpu;
pub mod error;
pub mod fw_cfg;
mod host_value;
pub mod irq;
pub mod logger;
pub mod mm;
pub mod panic;
pub mod pci;
pub mod power;
pub mod random;
pub mod sync;
pub mod task;
pub mod tdx;
pub mod timer;
pub mod user;

#[cfg(target_os = "none")]
pub(crate) mod arch;

pub use error::{Error, Result};
pub use host_value::HostValue;

/// Names the kernel's main function: `ostd::entry!(start);` with `fn start()`. It runs in the first task, on the boot
/// CPU, with interrupts on, once ostd is up; returning from it ends that task only.
///
/// The macro is part of the trusted base (rule 10): it takes a path of type `fn()` and nothing else.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn __ostd_kernel_main() {
            const MAIN: fn() = $main;
            MAIN()
        }
    };
}
