//! Boot order: one line per subsystem; ends by running /init.

/// Brings the kernel up. Runs in the first task.
pub fn start() {
    crate::sched::init();
    crate::mm::init();
    let cpus = ostd::cpu::start_others();
    let memory_mib = (ostd::mm::stats().total * ostd::mm::PAGE_SIZE) >> 20;
    log::info!("Coffer: {memory_mib} MiB of memory, {cpus} CPUs");
    crate::time::init();
    crate::vdso::init();
    let root = match crate::fs::init() {
        Ok(root) => root,
        Err(error) => panic!("no root file system: {error:?}"),
    };
    crate::fs::pipe::register();
    crate::device::tty::register();
    if let Err(error) = crate::device::tdx::register() {
        panic!("no device of the trust domain: {error:?}");
    }
    if let Err(error) = crate::net::init() {
        panic!("no network: {error:?}");
    }
    crate::device::bus::probe();
    if let Err(error) = crate::mm::accept::start() {
        panic!("no task to accept memory: {error:?}");
    }
    if let Err(error) = crate::process::first::start(&root) {
        panic!("the first process cannot be made: {error:?}");
    }
    // This task is done; returning would power the machine off.
    ostd::sync::WaitQueue::new().wait_until(|| None::<()>);
}
