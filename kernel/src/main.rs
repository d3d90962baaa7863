//! The kernel: the Linux ABI on ostd, without a line of `unsafe`. Start reading at [`init`].
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod cgroup;
mod context;
mod device;
mod error;
mod event;
mod fs;
mod init;
mod ipc;
mod loader;
mod mm;
mod net;
mod process;
mod random;
mod release;
mod sched;
mod signal;
mod syscall;
mod thread;
mod time;
mod vdso;

ostd::entry!(main);

fn main() {
    init::start();
}
