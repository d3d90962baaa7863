//! The frame that a handler finds on its stack, and the way back (sigreturn(2)): registers, mask, alternate stack, siginfo, and the extended
//! state in XSAVE format with the marks by which debuggers and runtimes know how long it is.

use super::{SigAction, SigInfo, SigSet};
use crate::error::{Errno, Error, Result};
use crate::syscall::UserPtr;
use crate::thread::Thread;
use alloc::vec::Vec;
use coffer_abi_types::signal::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, SA_ONSTACK, SA_RESTORER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK,
    UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS, fpx_sw_bytes, rt_sigframe, sigcontext, stack_t,
    ucontext,
};
use ostd::user::{Regs, UserContext};
use zerocopy::{FromZeros, IntoBytes};

use crate::signal::state::NO_ALTERNATE_STACK;

/// Bytes below the stack pointer that belong to the running function (System V ABI for x86-64, 3.2.2).
const RED_ZONE: u64 = 128;
/// Where the marks are in the FXSAVE image.
const MARKS: usize = 464;
/// Bytes of the FXSAVE image alone.
const FXSAVE_LEN: usize = 512;
/// Ring 3's code and data selectors, as Linux numbers them.
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2b;

/// The exception behind a signal, for the frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trap {
    /// Vector.
    pub vector: u64,
    /// Error code.
    pub error_code: u64,
    /// CR2.
    pub address: u64,
}

/// The stack that a signal needs at least (AT_MINSIGSTKSZ).
pub fn min_stack() -> usize {
    size_of::<rt_sigframe>() + RED_ZONE as usize + 16 + 64 + ostd::user::xsave_len() + size_of::<u32>()
}

/// Puts a frame on the handler's stack and turns the registers to the handler. `restored` is the mask that sigreturn brings back.
///
/// # Errors
/// EFAULT: the stack cannot take it.
pub fn push(
    thread: &Thread,
    user: &mut UserContext,
    action: &SigAction,
    info: SigInfo,
    restored: SigSet,
    trap: Trap,
) -> Result<()> {
    if action.sa_flags & SA_RESTORER == 0 {
        return Err(Error::with(Errno::EFAULT, "no restorer"));
    }
    let stack = *thread.signals.alternate_stack.lock();
    let is_on_it = is_on(&stack, user.regs.rsp);
    let mut top = user.regs.rsp.wrapping_sub(RED_ZONE);
    let enters = action.sa_flags & SA_ONSTACK != 0 && !is_on_it && stack.ss_flags & SS_DISABLE == 0;
    if enters {
        top = stack.ss_sp.wrapping_add(stack.ss_size);
    }

    let state_len = ostd::user::xsave_len();
    let state_at = top.wrapping_sub((state_len + size_of::<u32>()) as u64) & !63;
    let frame_len = size_of::<rt_sigframe>() as u64;
    let frame_at = (state_at.wrapping_sub(frame_len).wrapping_add(8) & !15).wrapping_sub(8);
    // An overflow of the alternate stack must not silently run into what is below it.
    if (enters || is_on_it) && (frame_at < stack.ss_sp || frame_at > stack.ss_sp.wrapping_add(stack.ss_size))
    {
        return Err(Error::with(Errno::EFAULT, "the alternate stack is too small"));
    }

    UserPtr::<u8>::new(state_at as usize).write_array(&extended_state(state_len))?;
    let mut saved_stack = stack;
    saved_stack.ss_flags = stack_flags(&stack, user.regs.rsp);
    let frame = rt_sigframe {
        pretcode: action.sa_restorer,
        uc: ucontext {
            uc_flags: UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
            uc_link: 0,
            uc_stack: saved_stack,
            uc_mcontext: context_of(&user.regs, restored, trap, state_at),
            uc_sigmask: restored.0,
        },
        info: info.to_abi(),
    };
    UserPtr::<rt_sigframe>::new(frame_at as usize).write(&frame)?;
    if stack.ss_flags & SS_AUTODISARM != 0 && enters {
        *thread.signals.alternate_stack.lock() = NO_ALTERNATE_STACK;
    }

    /// Direction and trap flags: a function starts with both clear.
    const CLEARED_FLAGS: u64 = 1 << 10 | 1 << 8 | 1 << 16;
    let regs = &mut user.regs;
    regs.rsp = frame_at;
    regs.rip = action.sa_handler;
    regs.rax = 0;
    regs.rdi = info.signal.number() as u64;
    regs.rsi = frame_at + core::mem::offset_of!(rt_sigframe, info) as u64;
    regs.rdx = frame_at + core::mem::offset_of!(rt_sigframe, uc) as u64;
    regs.rflags &= !CLEARED_FLAGS;
    Ok(())
}

/// Takes the frame off again. On success the registers are those of before the signal.
///
/// # Errors
/// EFAULT: what is on the stack is no frame: SIGSEGV.
pub fn pop(thread: &Thread, user: &mut UserContext) -> Result<()> {
    // The handler's `ret` has taken `pretcode` off.
    let frame_at = user.regs.rsp.wrapping_sub(8) as usize;
    let frame = UserPtr::<rt_sigframe>::new(frame_at).read()?;
    let context = &frame.uc.uc_mcontext;
    if context.fpstate == 0 {
        ostd::user::reset_extended_state();
    } else {
        load_state(context.fpstate as usize)?;
    }
    thread.signals.set_mask(SigSet::mask(frame.uc.uc_sigmask));
    restore_stack(thread, &frame.uc.uc_stack);
    let old = user.regs;
    user.regs = Regs {
        rax: context.rax,
        rbx: context.rbx,
        rcx: context.rcx,
        rdx: context.rdx,
        rsi: context.rsi,
        rdi: context.rdi,
        rbp: context.rbp,
        rsp: context.rsp,
        r8: context.r8,
        r9: context.r9,
        r10: context.r10,
        r11: context.r11,
        r12: context.r12,
        r13: context.r13,
        r14: context.r14,
        r15: context.r15,
        rip: context.rip,
        rflags: context.eflags,
        fs_base: old.fs_base,
        gs_base: old.gs_base,
    };
    Ok(())
}

/// Whether `pointer` is on the alternate stack. One that disarms itself does not count: it may be entered anew.
pub fn is_on(stack: &stack_t, pointer: u64) -> bool {
    stack.ss_flags & SS_AUTODISARM == 0 && pointer > stack.ss_sp && pointer - stack.ss_sp <= stack.ss_size
}

/// What sigaltstack(2) says of a stack.
pub fn stack_flags(stack: &stack_t, pointer: u64) -> i32 {
    let mode = stack.ss_flags & SS_AUTODISARM;
    if stack.ss_size == 0 {
        SS_DISABLE | mode
    } else if is_on(stack, pointer) {
        SS_ONSTACK | mode
    } else {
        mode
    }
}

fn restore_stack(thread: &Thread, saved: &stack_t) {
    // Invalid contents are left alone, as Linux does.
    let mut stack = thread.signals.alternate_stack.lock();
    if saved.ss_flags & SS_DISABLE != 0 || saved.ss_size == 0 {
        *stack = NO_ALTERNATE_STACK;
    } else if saved.ss_size >= min_stack() as u64 {
        *stack = stack_t { ss_flags: saved.ss_flags & SS_AUTODISARM, __pad: 0, ..*saved };
    }
}

fn context_of(regs: &Regs, restored: SigSet, trap: Trap, fpstate: u64) -> sigcontext {
    sigcontext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        eflags: regs.rflags,
        cs: USER_CS,
        gs: 0,
        fs: 0,
        ss: USER_SS,
        err: trap.error_code,
        trapno: trap.vector,
        oldmask: restored.0,
        cr2: trap.address,
        fpstate,
        reserved: [0; 8],
    }
}

/// The thread's extended state with its marks.
fn extended_state(len: usize) -> Vec<u8> {
    let mut state = alloc::vec![0; len + size_of::<u32>()];
    ostd::user::save_extended_state(&mut state[..len]);
    let marks = fpx_sw_bytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: (len + size_of::<u32>()) as u32,
        xfeatures: ostd::user::xfeatures(),
        xstate_size: len as u32,
        padding: [0; 7],
    };
    state[MARKS..MARKS + size_of::<fpx_sw_bytes>()].copy_from_slice(marks.as_bytes());
    state[len..].copy_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    state
}

fn load_state(address: usize) -> Result<()> {
    let len = ostd::user::xsave_len();
    let mut state = alloc::vec![0; len];
    let mut marks = fpx_sw_bytes::new_zeroed();
    UserPtr::<u8>::new(address).reader(FXSAVE_LEN)?.read_exact(&mut state[..FXSAVE_LEN])?;
    marks.as_mut_bytes().copy_from_slice(&state[MARKS..MARKS + size_of::<fpx_sw_bytes>()]);
    let is_extended = marks.magic1 == FP_XSTATE_MAGIC1
        && marks.xstate_size as usize == len
        && marks.extended_size as usize == len + size_of::<u32>()
        && UserPtr::<u32>::new(address + len).read()? == FP_XSTATE_MAGIC2;
    // The marks are the frame's, not the hardware's.
    state[MARKS..FXSAVE_LEN].fill(0);
    if is_extended {
        UserPtr::<u8>::new(address + FXSAVE_LEN)
            .reader(len - FXSAVE_LEN)?
            .read_exact(&mut state[FXSAVE_LEN..])?;
        // Only what is enabled here can be loaded: XSTATE_BV comes from user space.
        let features = marks.xfeatures & ostd::user::xfeatures();
        let mut bits = [0; 8];
        bits.copy_from_slice(&state[FXSAVE_LEN..FXSAVE_LEN + 8]);
        let bits = u64::from_le_bytes(bits) & features;
        state[FXSAVE_LEN..FXSAVE_LEN + 8].copy_from_slice(&bits.to_le_bytes());
        state[FXSAVE_LEN + 8..FXSAVE_LEN + 64].fill(0);
    } else {
        // Legacy state alone: x87 and SSE.
        state[FXSAVE_LEN] = 3;
    }
    ostd::user::load_extended_state(&state)
        .map_err(|_| Error::with(Errno::EFAULT, "the extended state is not valid"))
}
