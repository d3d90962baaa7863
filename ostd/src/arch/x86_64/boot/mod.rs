//! From the loader to the kernel's main function.

use core::arch::global_asm;

global_asm!(include_str!("entry.S"), options(att_syntax));

/// The first Rust code, called by `entry.S` on the boot CPU with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn boot_start(_loader: u32, _info: usize, _image: usize) -> ! {
    super::serial::init();
    panic!("no kernel yet");
}
