//! Short system calls.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, stat};
use nix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, EACH, time};
use crate::file::SCRATCH;

pub const BENCHES: &[Bench] = &[
    Bench { name: "null_syscall", unit: EACH, run: null_syscall },
    Bench { name: "clock_gettime", unit: EACH, run: clock_by_vdso },
    Bench { name: "clock_gettime_sys", unit: EACH, run: clock_by_call },
    Bench { name: "read_zero_1", unit: EACH, run: read_zero },
    Bench { name: "write_null_1", unit: EACH, run: write_null },
    Bench { name: "stat", unit: EACH, run: stat_file },
    Bench { name: "open_close", unit: EACH, run: open_close },
];

fn null_syscall(count: u64) -> io::Result<Duration> {
    time(count, || {
        nix::unistd::getppid();
        Ok(())
    })
}

fn clock_by_vdso(count: u64) -> io::Result<Duration> {
    time(count, || clock_gettime(ClockId::CLOCK_MONOTONIC).map(drop).map_err(io::Error::from))
}

fn clock_by_call(count: u64) -> io::Result<Duration> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    time(count, || {
        // SAFETY: the call fills a live local.
        let result = unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })
}

fn read_zero(count: u64) -> io::Result<Duration> {
    let mut zero = File::open("/dev/zero")?;
    time(count, || zero.read_exact(&mut [0]))
}

fn write_null(count: u64) -> io::Result<Duration> {
    let mut null = File::options().write(true).open("/dev/null")?;
    time(count, || null.write_all(&[0]))
}

fn stat_file(count: u64) -> io::Result<Duration> {
    File::create(SCRATCH.to_str().unwrap_or_default())?;
    time(count, || stat(SCRATCH).map(drop).map_err(io::Error::from))
}

fn open_close(count: u64) -> io::Result<Duration> {
    File::create(SCRATCH.to_str().unwrap_or_default())?;
    time(count, || open(SCRATCH, OFlag::O_RDONLY, Mode::empty()).map(drop).map_err(io::Error::from))
}
