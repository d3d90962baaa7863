//! The virtualization exception (#VE, vector 20): an instruction that the TDX module does not do itself (Intel TDX Module ABI specification, 10.6).
//!
//! Our own code names size and direction where it can ([`super::host`]), so what arrives here is CPUID, a stray MSR or HLT, and ring 3's CPUID. Nothing
//! here allocates. A second #VE is a double fault until the first one's information was fetched, so that comes first, with interrupts off and before
//! anything that could raise one; from then on they may nest. Pages that are not accepted raise none: [`super::init`] sees to that.

use super::call::{Leaf, Registers, tdcall};
use super::host;

/// Its vector.
pub(crate) const VECTOR: u64 = 20;

/// Exit reasons (Intel SDM vol. 3, appendix C).
mod reason {
    pub(super) const CPUID: u32 = 10;
    pub(super) const HLT: u32 = 12;
    pub(super) const IO: u32 = 30;
    pub(super) const READ_MSR: u32 = 31;
    pub(super) const WRITE_MSR: u32 = 32;
}

/// What TDG.VP.VEINFO.GET says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Info {
    reason: u32,
    qualification: u64,
    /// Guest-physical, for accesses to memory.
    address: u64,
    /// Length of the instruction.
    len: u32,
}

/// What of the interrupted registers an emulated instruction reads and writes.
#[derive(Debug)]
pub(crate) struct Interrupted<'a> {
    pub(crate) rax: &'a mut u64,
    pub(crate) rbx: &'a mut u64,
    pub(crate) rcx: &'a mut u64,
    pub(crate) rdx: &'a mut u64,
    pub(crate) rip: &'a mut u64,
}

/// What an instruction asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Cpuid,
    Halt,
    ReadMsr,
    WriteMsr,
    /// IN: bytes and port.
    In(usize, u16),
    /// OUT.
    Out(usize, u16),
    Refused,
}

impl Info {
    /// Takes the information; others may come from now on.
    fn take() -> Option<Self> {
        let mut registers = Registers::default();
        // SAFETY: touches no memory.
        let status = unsafe { tdcall(Leaf::ExceptionInfo, &mut registers) };
        status.is_success().then_some(Self {
            reason: registers.rcx as u32,
            qualification: registers.rdx,
            address: registers.r9,
            len: registers.r10 as u32,
        })
    }

    fn request(self, is_user: bool) -> Request {
        match self.reason {
            reason::CPUID => Request::Cpuid,
            // Of the others ring 3 may have none; in most it has raised another exception before this one.
            _ if is_user => Request::Refused,
            reason::HLT => Request::Halt,
            reason::READ_MSR => Request::ReadMsr,
            reason::WRITE_MSR => Request::WriteMsr,
            reason::IO => self.port_request(),
            _ => Request::Refused,
        }
    }

    /// Intel SDM vol. 3, table 29-5. String instructions are none of ours.
    fn port_request(self) -> Request {
        const IS_IN: u64 = 1 << 3;
        const IS_STRING: u64 = 1 << 4;
        let len = (self.qualification & 7) as usize + 1;
        let port = (self.qualification >> 16) as u16;
        match self.qualification {
            q if q & IS_STRING != 0 || !matches!(len, 1 | 2 | 4) => Request::Refused,
            q if q & IS_IN != 0 => Request::In(len, port),
            _ => Request::Out(len, port),
        }
    }
}

/// Serves the exception that was just raised, with interrupts off: the interrupted code goes on behind its instruction.
///
/// # Errors
/// What cannot be served.
pub(crate) fn serve(registers: Interrupted<'_>, is_user: bool) -> Result<(), Option<Info>> {
    let info = Info::take().ok_or(None)?;
    match info.request(is_user) {
        Request::Cpuid => cpuid(registers.rax, registers.rbx, registers.rcx, registers.rdx),
        Request::Halt => host::halt_blocked(),
        Request::ReadMsr => {
            let value = host::read_msr(*registers.rcx as u32).claim();
            (*registers.rax, *registers.rdx) = (value & 0xffff_ffff, value >> 32);
        }
        Request::WriteMsr => {
            host::write_msr(*registers.rcx as u32, *registers.rdx << 32 | *registers.rax & 0xffff_ffff);
        }
        Request::In(len, port) => {
            *registers.rax = merge(*registers.rax, host::read_port(port, len).claim(), len);
        }
        Request::Out(len, port) => host::write_port(port, len, *registers.rax as u32),
        Request::Refused => return Err(Some(info)),
    }
    *registers.rip = registers.rip.wrapping_add(info.len.into());
    Ok(())
}

/// The leaves that hypervisors describe themselves with are the host's. Of the machine it describes the module has said all that counts: the
/// other leaves that it left to the host are zero.
fn cpuid(rax: &mut u64, rbx: &mut u64, rcx: &mut u64, rdx: &mut u64) {
    const HYPERVISOR: core::ops::Range<u32> = 0x4000_0000..0x5000_0000;
    let (leaf, subleaf) = (*rax as u32, *rcx as u32);
    let answer = if HYPERVISOR.contains(&leaf) { host::cpuid(leaf, subleaf).claim() } else { [0; 4] };
    [*rax, *rbx, *rcx, *rdx] = answer;
}

/// A register after IN of `len` bytes: 32-bit results clear the upper half, shorter ones leave the rest (SDM vol. 1, 3.4.1.1).
fn merge(old: u64, value: u64, len: usize) -> u64 {
    match len {
        1 => old & !0xff | value & 0xff,
        2 => old & !0xffff | value & 0xffff,
        _ => value & 0xffff_ffff,
    }
}

#[cfg(test)]
mod tests {
    use super::{Info, Request, merge, reason};

    fn io(qualification: u64) -> Request {
        Info { reason: reason::IO, qualification, ..Info::default() }.request(false)
    }

    #[test]
    fn port_instructions_are_read_from_the_qualification() {
        assert_eq!(io(0x3f8 << 16), Request::Out(1, 0x3f8));
        assert_eq!(io(0xcfc << 16 | 1 << 3 | 3), Request::In(4, 0xcfc));
        assert_eq!(io(0x60 << 16 | 1 << 4), Request::Refused, "a string instruction");
        assert_eq!(io(0x60 << 16 | 2), Request::Refused, "three bytes");
    }

    #[test]
    fn ring_3_gets_cpuid_and_nothing_else() {
        for number in 0..=80 {
            let info = Info { reason: number, ..Info::default() };
            let expected = if number == reason::CPUID { Request::Cpuid } else { Request::Refused };
            assert_eq!(info.request(true), expected, "{number}");
        }
    }

    #[test]
    fn what_is_read_fills_as_much_of_the_register_as_the_instruction_does() {
        assert_eq!(merge(u64::MAX, 0x1_2345, 1), 0xffff_ffff_ffff_ff45);
        assert_eq!(merge(u64::MAX, 0x1_2345, 2), 0xffff_ffff_ffff_2345);
        assert_eq!(merge(u64::MAX, 0x9_8765_4321, 4), 0x8765_4321);
    }
}
