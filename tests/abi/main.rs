//! Guest programs that check Coffer's Linux ABI, in one static binary.
//!
//! Each case is a function of one area's file, named `area/what_it_shows`. A case is true of stock Linux first: the same
//! initramfs boots Debian's kernel, which is the oracle. Run as PID 1 the program mounts what it needs, runs the cases that
//! `abi=` on the kernel command line selects, and powers off; run as a normal program it takes the filters as arguments.
#![expect(unsafe_code, reason = "system calls that must be made in ways no safe wrapper offers")]

mod case;
mod child;
mod init;
mod program;
mod raw;
mod run;

mod block;
mod cgroup;
mod elf;
mod escape;
mod event;
mod fs;
mod inet;
mod ipc;
mod memory;
mod namespaces;
mod net;
mod netlink;
mod pipe;
mod proc;
mod process;
mod runtimes;
mod signal;
mod syscall;
mod thread;
mod time;
mod tty;
mod unix;

use case::Case;

/// Every area, in the order in which a young kernel can be expected to pass them.
const AREAS: &[&[&[Case]]] = &[
    syscall::CASES,
    process::CASES,
    memory::CASES,
    signal::CASES,
    pipe::CASES,
    fs::CASES,
    thread::CASES,
    time::CASES,
    event::CASES,
    ipc::CASES,
    unix::CASES,
    inet::CASES,
    tty::CASES,
    proc::CASES,
    elf::CASES,
    namespaces::CASES,
    netlink::CASES,
    cgroup::CASES,
    net::CASES,
    block::CASES,
    runtimes::CASES,
    escape::CASES,
];

fn all() -> impl Iterator<Item = &'static Case> {
    AREAS.iter().copied().flatten().copied().flatten()
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = program::play(&arguments) {
        std::process::exit(code);
    }
    if std::process::id() == 1 {
        init::main();
    }
    if arguments.first().is_some_and(|argument| argument == "list") {
        all().for_each(|case| println!("{}", case.name));
        return;
    }
    let exact = arguments.first().is_some_and(|argument| argument == "--exact");
    if exact {
        arguments.remove(0);
    }
    let total = run::run(all().filter(|case| run::is_selected(case.name, &arguments)));
    println!("{total}");
    std::process::exit(i32::from(total.failed > 0));
}
