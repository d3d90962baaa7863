//! Short system calls.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::RangeInclusive;
use std::sync::Once;
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, stat};
use nix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, EACH, time};
use crate::file::SCRATCH;

pub const BENCHES: &[Bench] = &[
    Bench { name: "null_syscall", unit: EACH, run: null_syscall },
    Bench { name: "null_syscall_filtered", unit: EACH, run: null_syscall_filtered },
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

/// Under a filter as a container's: two programs that compare the number with that of one call after the other.
fn null_syscall_filtered(count: u64) -> io::Result<Duration> {
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    static IS_FILTERED: Once = Once::new();
    let mut result = Ok(());
    IS_FILTERED.call_once(|| {
        // What is known passes; of that, some fails.
        result = filter(0..=450, ALLOW, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32)
            .and_then(|()| filter(240..=260, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, ALLOW));
    });
    result?;
    null_syscall(count)
}

/// Puts this process under a filter that answers calls with these numbers with `answer`, others with `otherwise`.
fn filter(numbers: RangeInclusive<u32>, answer: u32, otherwise: u32) -> io::Result<()> {
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number is the first word of what is judged.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for number in numbers {
        let test = op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number);
        program.extend([libc::sock_filter { jf: 1, ..test }, op(libc::BPF_RET | libc::BPF_K, answer)]);
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, otherwise));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: the call reads a live local that says how long the array is that it points to.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
