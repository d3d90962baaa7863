//! What C libraries call (vdso(7), section x86-64), by the C calling convention; the results are those of the system calls.

use core::arch::asm;

use crate::clock;
use crate::{Parameters, Time};

const SYS_CLOCK_GETTIME: usize = 228;
const SYS_CLOCK_GETRES: usize = 229;

const CLOCK_REALTIME: i32 = 0;

/// `struct timeval`.
#[repr(C)]
struct TimeVal {
    seconds: i64,
    microseconds: i64,
}

/// `struct timezone`.
#[repr(C)]
struct TimeZone {
    minutes_west: i32,
    dst_time: i32,
}

/// clock_gettime(2).
///
/// # Safety
/// `time` is valid for writing; if not, the process gets SIGSEGV where the call would return EFAULT (vdso(7)).
#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_clock_gettime(id: i32, time: *mut Time) -> i32 {
    match clock::now(id, parameters(), tsc) {
        Some(now) => {
            // SAFETY: by contract.
            unsafe { time.write(now) };
            0
        }
        None => call(SYS_CLOCK_GETTIME, id, time),
    }
}

/// clock_getres(2).
///
/// # Safety
/// `resolution` is null or valid for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_clock_getres(id: i32, resolution: *mut Time) -> i32 {
    match clock::resolution(id) {
        Some(value) => {
            if !resolution.is_null() {
                // SAFETY: by contract.
                unsafe { resolution.write(value) };
            }
            0
        }
        None => call(SYS_CLOCK_GETRES, id, resolution),
    }
}

/// gettimeofday(2).
///
/// # Safety
/// `time` and `zone` are each null or valid for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_gettimeofday(time: *mut TimeVal, zone: *mut TimeZone) -> i32 {
    if !time.is_null() {
        let now = realtime();
        let value = TimeVal { seconds: now.seconds, microseconds: (now.nanoseconds as u64 / 1000) as i64 };
        // SAFETY: by contract.
        unsafe { time.write(value) };
    }
    if !zone.is_null() {
        // The kernel's time zone is UTC.
        // SAFETY: by contract.
        unsafe { zone.write(TimeZone { minutes_west: 0, dst_time: 0 }) };
    }
    0
}

/// time(2).
///
/// # Safety
/// `seconds` is null or valid for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_time(seconds: *mut i64) -> i64 {
    let now = realtime().seconds;
    if !seconds.is_null() {
        // SAFETY: by contract.
        unsafe { seconds.write(now) };
    }
    now
}

#[inline]
fn realtime() -> Time {
    clock::now(CLOCK_REALTIME, parameters(), tsc).unwrap_or_default()
}

/// The page before the image.
#[inline]
fn parameters() -> &'static Parameters {
    let address: *const Parameters;
    // SAFETY: takes an address relative to the instruction, and touches nothing.
    unsafe {
        asm!("lea {}, [rip + vdso_parameters]", out(reg) address, options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: the kernel maps the page, aligned and filled, before it hands out the image's address; its words are atomic.
    unsafe { &*address }
}

/// The TSC, read after all earlier loads: without the fence a time could be older than an event that was seen before it (SDM, RDTSC).
#[inline]
fn tsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads a counter. Not `nomem`: the fence orders loads.
    unsafe {
        asm!("lfence", "rdtsc", out("rax") low, out("rdx") high, options(nostack, preserves_flags, readonly));
    }
    high << 32 | low
}

/// The system call itself, for what the kernel alone knows.
#[cold]
fn call(number: usize, id: i32, time: *mut Time) -> i32 {
    let result: isize;
    // SAFETY: the kernel checks the pointer, and writes at most one `Time` to it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") id as isize,
            in("rsi") time,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result as i32
}
