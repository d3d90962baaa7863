//! Ring 3: system calls, exceptions, segment bases, hostile registers, and coming back when wanted.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use ostd::mm::{PAGE_SIZE, VmSpace};
use ostd::sync::SpinLock;
use ostd::task::Task;
use ostd::timer;
use ostd::user::{Exception, Regs, ReturnReason, UserContext, page_fault};

use crate::crew::{Crew, wait_for};
use crate::policy::Place;
use crate::spaces::{CODE, DATA, STACK_END, at_start, run, with_program};
use crate::{Outcome, code, ensure};

crate::cases!("ring3":
    calls_keep_all_registers,
    exceptions_say_what_happened,
    segment_bases_are_the_programs_own,
    addresses_outside_are_refused,
    flags_are_reduced_to_harmless_ones,
    without_a_space_nothing_runs,
    the_tick_brings_spinning_programs_back,
    a_kick_brings_a_program_back,
);

/// Runs a program from its start with these registers until it comes back.
fn outcome_of(program: &[u8], regs: Regs) -> Result<(ReturnReason, Regs), alloc::string::String> {
    with_program(program)?.activate();
    let mut context = UserContext { regs };
    let reason = run(&mut context);
    VmSpace::deactivate_current();
    Ok((reason, context.regs))
}

fn calls_keep_all_registers() -> Outcome {
    with_program(code::CALL)?.activate();
    let mut context = at_start();
    for round in 1..500_u64 {
        let regs = &mut context.regs;
        let slots = [
            &mut regs.rax,
            &mut regs.rbx,
            &mut regs.rdx,
            &mut regs.rsi,
            &mut regs.rdi,
            &mut regs.rbp,
            &mut regs.r8,
            &mut regs.r9,
            &mut regs.r10,
            &mut regs.r12,
            &mut regs.r13,
            &mut regs.r14,
            &mut regs.r15,
        ];
        for (index, slot) in slots.into_iter().enumerate() {
            *slot = round * 0x0101_0101_0101 + index as u64;
        }
        if round % 2 == 0 {
            // Else SYSRET is taken, which needs these two as SYSCALL left them.
            (regs.rcx, regs.r11) = (round, round);
        }
        let before = *regs;
        ensure!(run(&mut context) == ReturnReason::Syscall, "not a system call");
        let after = context.regs;
        ensure!(
            after.rcx == after.rip && after.rip == CODE as u64 + 2,
            "rip {:#x} rcx {:#x}",
            after.rip,
            after.rcx
        );
        let Regs { rip, rcx, r11, rflags, .. } = after;
        let expected = Regs { rip, rcx, r11, rflags, ..before };
        ensure!(format!("{after:?}") == format!("{expected:?}"), "a register changed in round {round}");
    }
    VmSpace::deactivate_current();
    Ok(())
}

fn exceptions_say_what_happened() -> Outcome {
    const KERNEL: u64 = 0xffff_8000_0000_0000;
    const NOT_CANONICAL: u64 = 1 << 47;
    let data = DATA as u64;
    let read = page_fault::USER;
    let exception =
        |vector, error_code, address: u64| Exception { vector, error_code, fault_address: address as usize };
    let cases: [(&str, &[u8], u64, Exception); 14] = [
        ("undefined instruction", code::UNDEFINED, 0, exception(6, 0, 0)),
        ("division by zero", code::DIVIDE, 0, exception(0, 0, 0)),
        ("breakpoint", code::BREAKPOINT, 0, exception(3, 0, 0)),
        ("int 0x80", code::OLD_CALL, 0, exception(13, 0x80 * 8 + 2, 0)),
        ("hlt", code::HALT, 0, exception(13, 0, 0)),
        ("cli", code::CLEAR_INTERRUPTS, 0, exception(13, 0, 0)),
        ("read of nothing", code::LOAD, data, exception(14, read, data)),
        ("write to nothing", code::STORE, data + 8, exception(14, read | page_fault::WRITE, data + 8)),
        (
            "write to code",
            code::STORE,
            CODE as u64,
            exception(14, read | page_fault::WRITE | page_fault::PRESENT, CODE as u64),
        ),
        (
            "read of the kernel",
            code::LOAD,
            KERNEL + 0x10_0000,
            exception(14, read | page_fault::PRESENT, KERNEL + 0x10_0000),
        ),
        ("write to the kernel", code::STORE, !0xfff, exception(14, read | page_fault::WRITE, !0xfff)),
        ("read of no address", code::LOAD, NOT_CANONICAL, exception(13, 0, 0)),
        ("null", code::LOAD, 0, exception(14, read, 0)),
        (
            "above user space",
            code::LOAD,
            NOT_CANONICAL - PAGE_SIZE as u64,
            exception(14, read, NOT_CANONICAL - PAGE_SIZE as u64),
        ),
    ];
    for (name, program, rdi, mut expected) in cases {
        let (reason, regs) = outcome_of(program, Regs { rdi, ..at_start().regs })?;
        let ReturnReason::Exception(mut found) = reason else { return Err(format!("{name}: {reason:?}")) };
        if rdi >= KERNEL {
            // Whether the kernel has a page there is its own affair.
            found.error_code &= !page_fault::PRESENT;
            expected.error_code &= !page_fault::PRESENT;
        }
        if program == code::OLD_CALL {
            // Emulators disagree with the manual, and with each other.
            found.error_code = expected.error_code;
        }
        ensure!(found == expected, "{name}: {found:?}");
        let is_near = regs.rip >= CODE as u64 && regs.rip < CODE as u64 + 8;
        ensure!(is_near, "{name}: rip is {:#x}", regs.rip);
    }
    let (reason, _) = outcome_of(code::PUSH, Regs { rsp: DATA as u64, ..at_start().regs })?;
    let expected = exception(14, read | page_fault::WRITE, data - 8);
    ensure!(reason == ReturnReason::Exception(expected), "a push to nowhere: {reason:?}");
    // A jump to data that may not be executed.
    let (reason, _) = outcome_of(code::CALL, Regs { rip: STACK_END as u64 - 64, ..at_start().regs })?;
    let fetch = read | page_fault::PRESENT | page_fault::FETCH;
    let expected = exception(14, fetch, STACK_END as u64 - 64);
    ensure!(reason == ReturnReason::Exception(expected), "a jump to the stack: {reason:?}");
    Ok(())
}

fn segment_bases_are_the_programs_own() -> Outcome {
    // A GS base in the kernel's half is the program's to have; the kernel must not take it for its own.
    for (fs, gs) in [(1, 2), (0x7fff_ffff_f000, 0xffff_8000_0000_0000), (u64::MAX, 0xffff_ffff_8100_0000)] {
        with_program(code::BASES)?.activate();
        let mut context = UserContext { regs: Regs { rdi: fs, rsi: gs, ..at_start().regs } };
        ensure!(run(&mut context) == ReturnReason::Syscall, "no system call after {fs:#x} {gs:#x}");
        ensure!(
            (context.regs.fs_base, context.regs.gs_base) == (fs, gs),
            "the bases are {:x?}",
            context.regs
        );
        // And now through an exception.
        let reason = run(&mut context);
        ensure!(matches!(reason, ReturnReason::Exception(Exception { vector: 6, .. })), "{reason:?}");
        ensure!(
            (context.regs.fs_base, context.regs.gs_base) == (fs, gs),
            "the bases are {:x?}",
            context.regs
        );
        VmSpace::deactivate_current();
    }
    Ok(())
}

fn addresses_outside_are_refused() -> Outcome {
    let start = at_start().regs;
    let hostile =
        [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 0xffff_8000_0000_0000, 0xffff_ffff_8100_0000, u64::MAX];
    for address in hostile {
        let (reason, _) = outcome_of(code::CALL, Regs { rip: address, ..start })?;
        ensure!(
            matches!(reason, ReturnReason::Exception(Exception { vector: 13, .. })),
            "rip {address:#x}: {reason:?}"
        );
        // As SYSCALL at the end of the half would leave it: SYSRET there is the famous trap.
        let regs = Regs { rip: address, rcx: address, r11: 0x202, rflags: 0x202, ..start };
        let (reason, _) = outcome_of(code::CALL, regs)?;
        ensure!(
            matches!(reason, ReturnReason::Exception(Exception { vector: 13, .. })),
            "sysret {address:#x}: {reason:?}"
        );
        let (reason, _) = outcome_of(code::CALL, Regs { rsp: address, ..start })?;
        ensure!(matches!(reason, ReturnReason::Exception(_)), "rsp {address:#x}: {reason:?}");
        let (reason, regs) = outcome_of(code::CALL, Regs { fs_base: address, gs_base: address, ..start })?;
        let is_canonical = (address as i64) << 16 >> 16 == address as i64;
        let is_refused = matches!(reason, ReturnReason::Exception(Exception { vector: 13, .. }));
        ensure!(is_refused != is_canonical, "bases {address:#x}: {reason:?}");
        ensure!(regs.gs_base == address, "the base changed");
    }
    // The last byte of user space: the fetch beyond it is the program's fault, not ours.
    let (reason, _) = outcome_of(code::CALL, Regs { rip: 0x7fff_ffff_ffff, ..start })?;
    ensure!(
        matches!(reason, ReturnReason::Exception(Exception { vector: 14, .. })),
        "the last byte: {reason:?}"
    );
    Ok(())
}

fn flags_are_reduced_to_harmless_ones() -> Outcome {
    const TRAP: u64 = 1 << 8;
    const NEVER: u64 = 3 << 12 | 1 << 14 | 1 << 17 | 1 << 19 | 1 << 20;
    const INTERRUPTS: u64 = 1 << 9;
    for flags in [0, !TRAP, 0x3000, 0x4000, 0x2_0000] {
        let (reason, regs) = outcome_of(code::FLAGS, Regs { rflags: flags, ..at_start().regs })?;
        ensure!(reason == ReturnReason::Syscall, "flags {flags:#x}: {reason:?}");
        ensure!(
            regs.rax & NEVER == 0 && regs.rax & INTERRUPTS != 0,
            "flags {flags:#x} became {:#x}",
            regs.rax
        );
    }
    let (reason, _) = outcome_of(code::FLAGS, Regs { rflags: TRAP, ..at_start().regs })?;
    ensure!(
        matches!(reason, ReturnReason::Exception(Exception { vector: 1, .. })),
        "a single step: {reason:?}"
    );
    Ok(())
}

fn without_a_space_nothing_runs() -> Outcome {
    // The one that was here last is still loaded: it must not run.
    with_program(code::CALL)?.activate();
    ensure!(run(&mut at_start()) == ReturnReason::Syscall, "the program calls");
    VmSpace::deactivate_current();
    let reason = run(&mut at_start());
    let expected =
        Exception { vector: 14, error_code: page_fault::USER | page_fault::FETCH, fault_address: CODE };
    ensure!(reason == ReturnReason::Exception(expected), "{reason:?}");
    Ok(())
}

fn the_tick_brings_spinning_programs_back() -> Outcome {
    with_program(code::SPIN)?.activate();
    let start = timer::now_ns();
    let reason = at_start().execute();
    VmSpace::deactivate_current();
    ensure!(reason == ReturnReason::Interrupt, "{reason:?}");
    let took = timer::now_ns() - start;
    ensure!(took < 2_000_000_000, "it took {took} ns");
    Ok(())
}

fn a_kick_brings_a_program_back() -> Outcome {
    if ostd::cpu::count() < 2 {
        return Ok(());
    }
    let crew = Crew::default();
    let spinner: Arc<SpinLock<Option<Arc<Task>>>> = Arc::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let (own, over) = (spinner.clone(), is_over.clone());
    crew.start(Place::On(1), move |_| {
        with_program(code::SPIN)?.activate();
        *own.lock() = Task::current().map(|task| task.cloned());
        let mut returns = 0;
        while !over.load(Ordering::SeqCst) {
            ensure!(at_start().execute() == ReturnReason::Interrupt, "something else came");
            returns += 1;
        }
        ensure!(returns > 0, "it never came back");
        Ok(())
    })?;
    wait_for("the program", || spinner.lock().is_some())?;
    for _ in 0..200 {
        if let Some(task) = &*spinner.lock() {
            task.kick();
        }
    }
    is_over.store(true, Ordering::SeqCst);
    crew.join()
}
