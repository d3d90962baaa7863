//! TDG.VP.VMCALL: what only the host can do for us (Intel Guest-Hypervisor Communication Interface). It may answer anything, so its answers are
//! [`HostValue`]s. Its own failures are of no use to a caller that cannot do without the answer: what it refuses to read reads as all ones, as
//! on a bus where nobody answers.

use core::ops::Range;

use super::call::{Leaf, Registers, tdcall};
use crate::mm::PAGE_SIZE;
use crate::{Error, HostValue, Result};

const CPUID: u64 = 10;
const HALT: u64 = 12;
const IO: u64 = 30;
const READ_MSR: u64 = 31;
const WRITE_MSR: u64 = 32;
const MMIO: u64 = 48;
const MAP_GPA: u64 = 0x10001;
const GET_QUOTE: u64 = 0x10002;
#[cfg(target_os = "none")]
const REPORT_FATAL_ERROR: u64 = 0x10003;
const SET_NOTIFY_VECTOR: u64 = 0x10004;

/// Which registers the host sees: R10 to R15.
const VISIBLE: u64 = 0xfc00;
const READ: u64 = 0;
const WRITE: u64 = 1;
const RETRY: u64 = 1;

/// One call; R10 to R15 as the host left them. That it does what the caller meant is the host's to decide.
fn call(function: u64, [r12, r13, r14, r15]: [u64; 4]) -> Registers {
    let mut registers = Registers { rcx: VISIBLE, r11: function, r12, r13, r14, r15, ..Registers::default() };
    // SAFETY: we are in a TD, since only its paths come here. The host reads and writes shared memory only, none of which is Rust's: the
    // functions below pass no other addresses, and private memory is out of its reach whatever they pass.
    let status = unsafe { tdcall(Leaf::CallHost, &mut registers) };
    if !status.is_success() {
        registers.r10 = u64::MAX;
    }
    registers
}

/// What a read came to.
fn read_value(function: u64, arguments: [u64; 4]) -> HostValue<u64> {
    let answer = call(function, arguments);
    HostValue::new(if answer.r10 == 0 { answer.r11 } else { u64::MAX })
}

/// Reads `len` (1, 2, 4) bytes from a port.
pub(crate) fn read_port(port: u16, len: usize) -> HostValue<u64> {
    read_value(IO, [len as u64, READ, port.into(), 0])
}

/// Writes `len` (1, 2, 4) bytes to a port.
pub(crate) fn write_port(port: u16, len: usize, value: u32) {
    call(IO, [len as u64, WRITE, port.into(), value.into()]);
}

/// Reads `len` (1, 2, 4, 8) bytes of a device's registers.
pub(crate) fn read_register(paddr: usize, len: usize) -> HostValue<u64> {
    read_value(MMIO, [len as u64, READ, paddr as u64 | super::shared_bit(), 0])
}

/// Writes `len` (1, 2, 4, 8) bytes of a device's registers.
pub(crate) fn write_register(paddr: usize, len: usize, value: u64) {
    call(MMIO, [len as u64, WRITE, paddr as u64 | super::shared_bit(), value]);
}

/// Reads an MSR that the host emulates.
pub(crate) fn read_msr(msr: u32) -> HostValue<u64> {
    read_value(READ_MSR, [msr.into(), 0, 0, 0])
}

/// Writes an MSR that the host emulates.
pub(crate) fn write_msr(msr: u32, value: u64) {
    call(WRITE_MSR, [msr.into(), value, 0, 0]);
}

/// EAX, EBX, ECX, EDX of a leaf.
pub(super) fn cpuid(leaf: u32, subleaf: u32) -> HostValue<[u64; 4]> {
    let answer = call(CPUID, [leaf.into(), subleaf.into(), 0, 0]);
    let registers = [answer.r12, answer.r13, answer.r14, answer.r15];
    HostValue::new(if answer.r10 == 0 { registers.map(|r| r & 0xffff_ffff) } else { [0; 4] })
}

/// Halts with interrupts off until one is pending.
pub(super) fn halt_blocked() {
    call(HALT, [1, 0, 0, 0]);
}

/// Turns interrupts on and halts until one comes. STI holds them off for one more instruction, so none can slip in before the call.
#[cfg(target_os = "none")]
pub(crate) fn enable_and_halt() {
    // SAFETY: asks the host to wait; what it does to the visible registers is declared, and it touches no memory.
    unsafe {
        core::arch::asm!(
            "sti",
            ".byte 0x66, 0x0f, 0x01, 0xcc",
            inout("rax") Leaf::CallHost as u64 => _,
            inout("rcx") VISIBLE => _,
            inout("r10") 0_u64 => _,
            inout("r11") HALT => _,
            inout("r12") 0_u64 => _,
            inout("r13") 0_u64 => _,
            inout("r14") 0_u64 => _,
            inout("r15") 0_u64 => _,
            out("rdx") _, out("r8") _, out("r9") _,
        );
    }
}

/// Makes the pages of `range` shared. The host may do it bit by bit, and say where to go on.
///
/// # Errors
/// [`Error::Device`] if it does not, or says what makes no sense.
pub(super) fn share(range: Range<usize>) -> Result<()> {
    share_by(range, &mut |start, len| {
        let answer = call(MAP_GPA, [start as u64 | super::shared_bit(), len as u64, 0, 0]);
        (answer.r10, HostValue::new(answer.r11 & !super::shared_bit()))
    })
}

/// How often the host may ask to be asked again without having got on.
const PATIENCE: u32 = 1000;

/// The loop of [`share`] over calls that `map` makes.
fn share_by(
    mut range: Range<usize>,
    map: &mut dyn FnMut(usize, usize) -> (u64, HostValue<u64>),
) -> Result<()> {
    let mut stalls = 0;
    loop {
        match map(range.start, range.len()) {
            (0, _) => return Ok(()),
            (RETRY, resume) => {
                let is_fine =
                    |at: &u64| at.is_multiple_of(PAGE_SIZE as u64) && range.contains(&(*at as usize));
                let resume = resume.checked(is_fine).ok_or(Error::Device)? as usize;
                stalls = if resume > range.start { 0 } else { stalls + 1 };
                if stalls > PATIENCE {
                    return Err(Error::Device);
                }
                range.start = resume;
            }
            _ => return Err(Error::Device),
        }
    }
}

/// Asks for a quote: `paddr` is shared memory of `len` bytes, laid out as [`super::quote`] says. Returns before the quote is there.
///
/// # Errors
/// [`Error::Device`] if the host has no such service.
pub(super) fn get_quote(paddr: usize, len: usize) -> Result<()> {
    let answer = call(GET_QUOTE, [paddr as u64 | super::shared_bit(), len as u64, 0, 0]);
    if answer.r10 == 0 { Ok(()) } else { Err(Error::Device) }
}

/// Asks for an interrupt when a quote is done.
///
/// # Errors
/// [`Error::Device`] if the host has no such service.
pub(super) fn set_notify_vector(vector: u8) -> Result<()> {
    let answer = call(SET_NOTIFY_VECTOR, [vector.into(), 0, 0, 0]);
    if answer.r10 == 0 { Ok(()) } else { Err(Error::Device) }
}

/// Tells the host that we are at our end, and why in up to [`super::MAX_REASON`] bytes; the host need not return from it.
#[cfg(target_os = "none")]
pub(crate) fn report_fatal_error(why: &[u8]) {
    let mut text = [0_u8; super::MAX_REASON];
    for (slot, byte) in text.iter_mut().zip(why) {
        *slot = *byte;
    }
    let mut words = [0; super::MAX_REASON / 8];
    for (word, bytes) in words.iter_mut().zip(text.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [r14, r15, rbx, rdi, rsi, r8, r9, rdx] = words;
    // SAFETY: the host reads registers only; RBX, which the compiler keeps for itself, is put back.
    unsafe {
        core::arch::asm!(
            "xchg rbx, {rbx}",
            ".byte 0x66, 0x0f, 0x01, 0xcc",
            "xchg rbx, {rbx}",
            rbx = inout(reg) rbx => _,
            inout("rax") Leaf::CallHost as u64 => _,
            // RDX, RBX, RSI, RDI and R8 to R15.
            inout("rcx") 0xffcc_u64 => _,
            inout("rdx") rdx => _, inout("rsi") rsi => _, inout("rdi") rdi => _,
            inout("r8") r8 => _, inout("r9") r9 => _, inout("r10") 0_u64 => _, inout("r11") REPORT_FATAL_ERROR => _,
            inout("r12") 0_u64 => _, inout("r13") 0_u64 => _, inout("r14") r14 => _, inout("r15") r15 => _,
            options(nostack)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{HostValue, PATIENCE, RETRY, share_by};
    use crate::Error;
    use std::vec;
    use std::vec::Vec;

    const START: usize = 0x20_0000;
    const END: usize = 0x40_0000;

    /// Runs the loop against a host that answers each call by `answer`; gives the ranges it was asked for.
    fn run(mut answer: impl FnMut(usize) -> (u64, u64)) -> (Result<(), Error>, Vec<(usize, usize)>) {
        let mut asked = vec![];
        let outcome = share_by(START..END, &mut |start, len| {
            asked.push((start, len));
            let (status, resume) = answer(start);
            (status, HostValue::new(resume))
        });
        (outcome, asked)
    }

    #[test]
    fn a_host_that_does_it_in_steps_is_followed() {
        let (outcome, asked) = run(|start| if start == START { (RETRY, 0x30_0000) } else { (0, u64::MAX) });
        assert_eq!(outcome, Ok(()));
        assert_eq!(asked, [(START, 0x20_0000), (0x30_0000, 0x10_0000)]);
    }

    #[test]
    fn resuming_outside_of_the_range_or_before_it_is_refused() {
        for resume in [0, START as u64 - 0x1000, END as u64, !0xfff, START as u64 + 1] {
            assert_eq!(run(|_| (RETRY, resume)).0, Err(Error::Device), "{resume:#x}");
        }
        let (outcome, asked) = run(|start| (RETRY, if start == START { 0x30_0000 } else { START as u64 }));
        assert_eq!((outcome, asked.len()), (Err(Error::Device), 2), "back to what was done");
    }

    #[test]
    fn a_host_that_never_gets_on_is_given_up() {
        let (outcome, asked) = run(|start| (RETRY, start as u64));
        assert_eq!((outcome, asked.len()), (Err(Error::Device), PATIENCE as usize + 1));
    }

    #[test]
    fn refusals_are_errors() {
        assert_eq!(run(|_| (0x8000_0000_0000_0000, 0)).0, Err(Error::Device));
    }
}
