//! What boot, interrupts and timers ask of tasks that are not there yet.

pub(crate) fn on_reschedule_ipi() {}
pub(crate) fn on_tick() {}
pub(crate) fn on_interrupt_exit() {}

pub(crate) fn init_user() {}

pub(crate) fn run_idle() -> ! {
    loop {
        x86_64::instructions::interrupts::enable_and_hlt();
    }
}

pub(crate) fn start_first() -> ! {
    unsafe extern "Rust" {
        safe fn __ostd_kernel_main();
    }
    x86_64::instructions::interrupts::enable();
    __ostd_kernel_main();
    crate::power::off(crate::power::Exit::Clean)
}
