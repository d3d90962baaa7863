//! Unknown numbers, bad pointers, and what a call leaves of the registers (syscalls(2)).

use std::arch::asm;
use std::time::{Duration, Instant};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::program;
use crate::raw::{BAD_ADDRESS, KERNEL_ADDRESS, harmless, syscall};

cases!("syscall":
    unknown_numbers_fail_with_enosys,
    unknown_numbers_are_logged_once_for_each_program,
    many_programs_together_do_not_fill_the_log,
    bad_pointers_fail_with_efault,
    kernel_pointers_fail_with_efault,
    registers_survive_a_call,
    sse_state_survives_a_call,
    a_string_that_crosses_into_nothing_faults,
);

fn unknown_numbers_fail_with_enosys() -> Outcome {
    for number in [999, 5000, 0x3fff_ffff, -1] {
        check_fails!(harmless(number, []), ENOSYS);
    }
    Ok(())
}

/// How often the log says that a call with this number is not there.
fn complaints(number: i32) -> Outcome<usize> {
    /// SYSLOG_ACTION_READ_ALL of syslog(2).
    const READ_ALL: usize = 3;
    let mut log = vec![0_u8; 128 << 10];
    // SAFETY: the call writes at most the given length to the buffer.
    let len = unsafe { syscall(libc::SYS_syslog, [READ_ALL, log.as_mut_ptr() as usize, log.len()]) }?;
    let log = String::from_utf8_lossy(&log[..len]).into_owned();
    Ok(log.lines().filter(|line| line.contains(&format!("system call {number} is not there"))).count())
}

/// Linux does not log them at all; where the kernel is Coffer, which has a folder of its own in /proc, a program's first one is.
fn unknown_numbers_are_logged_once_for_each_program() -> Outcome {
    const NUMBER: i32 = 4711;
    let is_coffer = std::path::Path::new("/proc/coffer").exists();
    let before = complaints(NUMBER)?;
    for programs in 1..=2 {
        let status = program::command("@call").args([&NUMBER.to_string(), "5"]).status()?;
        check!(status.success(), "{status}");
        check_eq!(complaints(NUMBER)? - before, if is_coffer { programs } else { 0 });
    }
    Ok(())
}

fn many_programs_together_do_not_fill_the_log() -> Outcome {
    const NUMBER: i32 = 4712;
    let start = Instant::now();
    for _ in 0..200 {
        check!(program::command("@call").args([&NUMBER.to_string(), "1"]).status()?.success());
    }
    let bound = 64 + 10 * (start.elapsed().as_secs() as usize + 1);
    let lines = complaints(NUMBER)?;
    check!(lines <= bound, "{lines} lines where {bound} are the most");
    // What others write in the same second is not held against this case.
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

fn bad_pointers_fail_with_efault() -> Outcome {
    check_fails!(harmless(libc::SYS_uname, [BAD_ADDRESS]), EFAULT);
    check_fails!(harmless(libc::SYS_open, [BAD_ADDRESS, 0]), EFAULT);
    check_fails!(harmless(libc::SYS_pipe2, [BAD_ADDRESS, 0]), EFAULT);
    check_fails!(harmless(libc::SYS_clock_gettime, [0, BAD_ADDRESS]), EFAULT);
    Ok(())
}

fn kernel_pointers_fail_with_efault() -> Outcome {
    for address in [KERNEL_ADDRESS, usize::MAX - 4096, 0x7fff_ffff_f000, 0x8000_0000_0000] {
        check_fails!(harmless(libc::SYS_uname, [address]), EFAULT);
        check_fails!(harmless(libc::SYS_pipe2, [address, 0]), EFAULT);
    }
    Ok(())
}

fn registers_survive_a_call() -> Outcome {
    let (b, r8, r9, r10, r12, r15): (u64, u64, u64, u64, u64, u64);
    // SAFETY: getppid takes nothing and touches no memory; every register it may change is declared.
    unsafe {
        asm!(
            "push rbx", "mov rbx, 0x1111", "mov r8, 0x2222", "mov r9, 0x3333", "mov r10, 0x4444", "mov r12, 0x5555",
            "mov r15, 0x6666", "mov eax, 110", "syscall", "mov r13, rbx", "pop rbx",
            out("r13") b, out("r8") r8, out("r9") r9, out("r10") r10, out("r12") r12, out("r15") r15,
            out("rax") _, out("rcx") _, out("r11") _,
        );
    }
    check_eq!([b, r8, r9, r10, r12, r15], [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666]);
    Ok(())
}

fn sse_state_survives_a_call() -> Outcome {
    let value: u64;
    // SAFETY: sched_yield takes nothing and touches no memory; every register it may change is declared.
    unsafe {
        asm!(
            "mov rdx, 0x123456789abcdef", "movq xmm7, rdx", "mov eax, 24", "syscall", "movq rdx, xmm7",
            out("rdx") value, out("xmm7") _, out("rax") _, out("rcx") _, out("r11") _,
        );
    }
    check_eq!(value, 0x0123_4567_89ab_cdef);
    Ok(())
}

fn a_string_that_crosses_into_nothing_faults() -> Outcome {
    let pages = crate::memory::Mapping::anonymous(2 * 4096)?;
    pages.protect(4096..8192, nix::sys::mman::ProtFlags::PROT_NONE)?;
    for at in 4090..4096 {
        pages.set(at, b'x');
    }
    check_fails!(harmless(libc::SYS_open, [pages.address() + 4090, 0]), EFAULT);
    Ok(())
}
