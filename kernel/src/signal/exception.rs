//! Exceptions of user code: pages are brought in, everything else is a signal (Intel SDM vol. 3, 6.15; signal numbers and codes as Linux gives
//! them on x86-64).

use super::frame::Trap;
use super::{SigInfo, Signal, send};
use crate::mm::fault::{FaultSignal, handle_user_fault};
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::signal::{
    BUS_ADRALN, BUS_ADRERR, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV,
    ILL_ILLOPN, SEGV_ACCERR, SEGV_MAPERR, SI_KERNEL, TRAP_TRACE,
};
use ostd::user::{Exception, UserContext};

/// Serves an exception; what a frame says of it, if it became a signal.
pub fn handle(thread: &Arc<Thread>, user: &UserContext, exception: &Exception) -> Trap {
    if exception.vector == 14 {
        let Some(space) = thread.process().address_space() else { return Trap::default() };
        match handle_user_fault(&space, exception) {
            Ok(()) | Err(FaultSignal::Killed) => return Trap::default(),
            Err(fault) => raise_fault(thread, exception, fault),
        }
    } else {
        send::force(thread, info_of(user.regs.rip, exception));
    }
    Trap {
        vector: u64::from(exception.vector),
        error_code: u64::from(exception.error_code),
        address: exception.fault_address as u64,
    }
}

fn raise_fault(thread: &Arc<Thread>, exception: &Exception, fault: FaultSignal) {
    let (signal, code) = match fault {
        FaultSignal::Segv { is_mapped: true } => (Signal::SEGV, SEGV_ACCERR),
        FaultSignal::Segv { is_mapped: false } => (Signal::SEGV, SEGV_MAPERR),
        FaultSignal::Bus | FaultSignal::Killed => (Signal::BUS, BUS_ADRERR),
    };
    send::force(thread, SigInfo::fault(signal, code, exception.fault_address as u64));
}

fn info_of(rip: u64, exception: &Exception) -> SigInfo {
    match exception.vector {
        0 => SigInfo::fault(Signal::FPE, FPE_INTDIV, rip),
        1 => SigInfo::fault(Signal::TRAP, TRAP_TRACE, rip),
        3 => SigInfo::kernel(Signal::TRAP),
        6 => SigInfo::fault(Signal::ILL, ILL_ILLOPN, rip),
        16 | 19 => SigInfo::fault(Signal::FPE, float_code(exception.vector), rip),
        17 => SigInfo::fault(Signal::BUS, BUS_ADRALN, 0),
        11 | 12 => SigInfo { code: SI_KERNEL, ..SigInfo::fault(Signal::BUS, SI_KERNEL, 0) },
        _ => SigInfo::kernel(Signal::SEGV),
    }
}

/// Which floating-point exception it was: the first unmasked one in the status word or MXCSR.
fn float_code(vector: u8) -> i32 {
    let mut state = alloc::vec![0; ostd::user::xsave_len()];
    ostd::user::save_extended_state(&mut state);
    let half = |at: usize| u16::from_le_bytes([state[at], state[at + 1]]);
    let raised = if vector == 16 {
        half(2) & !half(0)
    } else {
        let control = half(24);
        control & !(control >> 7)
    };
    match raised & 0x3f {
        bits if bits & 1 != 0 => FPE_FLTINV,
        bits if bits & 4 != 0 => FPE_FLTDIV,
        bits if bits & 8 != 0 => FPE_FLTOVF,
        bits if bits & 0x12 != 0 => FPE_FLTUND,
        bits if bits & 0x20 != 0 => FPE_FLTRES,
        _ => FPE_FLTINV,
    }
}
