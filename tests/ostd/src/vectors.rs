//! Extended state: each task has its own, across switches and CPUs.

use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ostd::mm::VmSpace;
use ostd::task::{self, Task};
use ostd::user::{self, Regs, ReturnReason, UserContext};
use ostd::{Error, cpu};

use crate::crew::{Crew, sleep_ns, wait_for};
use crate::policy::Place;
use crate::spaces::{at_start, run, with_program};
use crate::{Outcome, code, ensure};

crate::cases!("vectors":
    each_task_has_its_own,
    areas_are_saved_loaded_and_reset,
    malformed_areas_are_refused,
    a_new_task_starts_with_a_copy,
);

/// Where an XSAVE area has XMM0, MXCSR, XSTATE_BV and XCOMP_BV.
const XMM0: usize = 160;
const MXCSR: usize = 24;
const XSTATE_BV: usize = 512;
const XCOMP_BV: usize = 520;

fn each_task_has_its_own() -> Outcome {
    let crew = Crew::default();
    for number in 0..3 * cpu::count() as u64 {
        // Two of three move about.
        let place = if number % 3 == 0 { Place::On(number as usize) } else { Place::Any };
        crew.start(place, move |_| {
            with_program(code::VECTORS)?.activate();
            let mut context = at_start();
            for round in 0..300_u64 {
                let value = number << 40 | round << 8 | 0x5a;
                context.regs.rdi = value;
                ensure!(run(&mut context) == ReturnReason::Syscall, "no call");
                if round % 5 == 0 {
                    sleep_ns(10_000);
                } else {
                    task::yield_now();
                }
                ensure!(run(&mut context) == ReturnReason::Syscall, "no call");
                let Regs { rax, rdx, .. } = context.regs;
                ensure!(
                    (rax, rdx) == (value, value),
                    "{value:#x} became {rax:#x} (ymm1) and {rdx:#x} (xmm0)"
                );
            }
            Ok(())
        })?;
    }
    crew.join()
}

/// What a program finds in xmm0.
fn xmm0() -> Result<u64, alloc::string::String> {
    with_program(code::READ_VECTOR)?.activate();
    let mut context = at_start();
    let reason = run(&mut context);
    VmSpace::deactivate_current();
    ensure_call(reason)?;
    Ok(context.regs.rax)
}

fn ensure_call(reason: ReturnReason) -> Outcome {
    ensure!(reason == ReturnReason::Syscall, "{reason:?} instead of a call");
    Ok(())
}

/// Puts `value` into xmm0.
fn set_xmm0(value: u64) -> Outcome {
    with_program(code::VECTORS)?.activate();
    let reason = run(&mut UserContext { regs: Regs { rdi: value, ..at_start().regs } });
    VmSpace::deactivate_current();
    ensure_call(reason)
}

fn areas_are_saved_loaded_and_reset() -> Outcome {
    ensure!(user::xfeatures() & 7 == 7 && user::xsave_len() >= 832, "x87, SSE and AVX are on");
    let mut area = vec![0; user::xsave_len()];
    set_xmm0(0x1111)?;
    user::save_extended_state(&mut area);
    ensure!(area[XMM0..XMM0 + 8] == 0x1111_u64.to_le_bytes(), "the area has another xmm0");
    area[XMM0..XMM0 + 8].copy_from_slice(&0x2222_u64.to_le_bytes());
    set_xmm0(0x3333)?;
    user::load_extended_state(&area).map_err(|e| alloc::format!("{e:?}"))?;
    let loaded = xmm0()?;
    ensure!(loaded == 0x2222, "xmm0 is {loaded:#x} after loading");
    user::reset_extended_state();
    let reset = xmm0()?;
    ensure!(reset == 0, "xmm0 is {reset:#x} after a reset");
    Ok(())
}

fn malformed_areas_are_refused() -> Outcome {
    user::reset_extended_state();
    let mut good = vec![0; user::xsave_len()];
    user::save_extended_state(&mut good);
    let refused = Err(Error::InvalidArgument);
    for len in [0, 1, XSTATE_BV, XSTATE_BV + 64, good.len() - 1] {
        ensure!(user::load_extended_state(&good[..len]) == refused, "{len} bytes");
    }
    let spoiled = [
        (XSTATE_BV + 7, 0x80),
        (XSTATE_BV + 1, 2),
        (XCOMP_BV + 7, 0x80),
        (XCOMP_BV + 30, 1),
        (MXCSR + 2, 1),
        (MXCSR + 3, 0xff),
    ];
    for (offset, byte) in spoiled {
        let mut area = good.clone();
        area[offset] |= byte;
        ensure!(user::load_extended_state(&area) == refused, "byte {offset} as {byte:#x}");
    }
    let mut longer = good.clone();
    longer.push(0);
    ensure!(user::load_extended_state(&longer) == refused, "a byte too many");
    // Whatever else is in there is the program's affair.
    let mut noise = good;
    for (index, byte) in noise.iter_mut().enumerate() {
        if !(MXCSR..MXCSR + 8).contains(&index) && !(XSTATE_BV..XSTATE_BV + 64).contains(&index) {
            *byte = index as u8 ^ 0xa5;
        }
    }
    noise[XSTATE_BV] = 7;
    ensure!(user::load_extended_state(&noise) == Ok(()), "noise is a state like any other");
    xmm0()?;
    user::reset_extended_state();
    Ok(())
}

fn a_new_task_starts_with_a_copy() -> Outcome {
    set_xmm0(0x4242)?;
    let found = Arc::new(AtomicU64::new(0));
    let result = found.clone();
    let main = move || result.store(xmm0().unwrap_or(1), Ordering::SeqCst);
    let child = Task::new(main, Arc::new(()), Arc::new(Place::Any)).map_err(|_| "no task")?;
    set_xmm0(0x5353)?;
    child.start();
    wait_for("the child", || found.load(Ordering::SeqCst) != 0)?;
    ensure!(found.load(Ordering::SeqCst) == 0x4242, "the child found {found:?}");
    Ok(())
}
