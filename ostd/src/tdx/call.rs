//! TDCALL: what the TDX module does for its guest (Intel TDX Module ABI specification, chapter 5.5), and the registers that carry it.
//!
//! Written by hand because the tdx-guest crate does not build on stable Rust; it checks the simulated module of the tests instead.

/// A leaf: what the module is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Leaf {
    /// TDG.VP.VMCALL.
    CallHost = 0,
    /// TDG.VP.INFO.
    Info = 1,
    /// TDG.MR.RTMR.EXTEND.
    ExtendRtmr = 2,
    /// TDG.VP.VEINFO.GET.
    ExceptionInfo = 3,
    /// TDG.MR.REPORT.
    Report = 4,
    /// TDG.MEM.PAGE.ACCEPT.
    AcceptPage = 6,
    /// TDG.VM.RD.
    ReadField = 7,
    /// TDG.VM.WR.
    WriteField = 8,
}

/// The module's answer: class and details in the upper half, the operand that it is about in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u64);

impl Status {
    pub(super) const OPERAND_BUSY: u32 = 0x8000_0200;
    pub(super) const PAGE_SIZE_MISMATCH: u32 = 0xc000_0b0b;

    /// Whether the call did what was asked. Not so where it only says that nothing was left to do (PAGE_ALREADY_ACCEPTED is of the
    /// success class): who asked twice has lost count.
    pub(super) fn is_success(self) -> bool {
        self.code() == 0
    }

    /// Without the operand.
    pub(super) fn code(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Makes a call until the module is not busy with the same for another CPU or for the host.
pub(super) fn retried(call: &mut dyn FnMut() -> Status) -> Status {
    const PATIENCE: u32 = 100_000;
    let mut tries = (0..PATIENCE).map(|_| call());
    tries.find(|status| status.code() != Status::OPERAND_BUSY).unwrap_or(Status(u64::MAX))
}

/// The registers that go in and come out, apart from RAX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) rcx: u64,
    pub(super) rdx: u64,
    pub(super) r8: u64,
    pub(super) r9: u64,
    pub(super) r10: u64,
    pub(super) r11: u64,
    pub(super) r12: u64,
    pub(super) r13: u64,
    pub(super) r14: u64,
    pub(super) r15: u64,
}

/// Calls the module.
///
/// # Safety
/// We are in a TD, and what `leaf` does with these registers affects no memory but what the caller owns.
#[cfg(target_os = "none")]
pub(super) unsafe fn tdcall(leaf: Leaf, registers: &mut Registers) -> Status {
    let status;
    // SAFETY: by contract. The module changes no other register: RBX, RBP, RSI, RDI and RSP are never in a host call's mask. Not `nomem`: the host and
    // the module read and write what the registers point to.
    unsafe {
        core::arch::asm!(
            ".byte 0x66, 0x0f, 0x01, 0xcc",
            inout("rax") leaf as u64 => status,
            inout("rcx") registers.rcx,
            inout("rdx") registers.rdx,
            inout("r8") registers.r8,
            inout("r9") registers.r9,
            inout("r10") registers.r10,
            inout("r11") registers.r11,
            inout("r12") registers.r12,
            inout("r13") registers.r13,
            inout("r14") registers.r14,
            inout("r15") registers.r15,
            options(nostack)
        );
    }
    Status(status)
}

/// There is no module on the host.
///
/// # Safety
/// None.
#[cfg(not(target_os = "none"))]
pub(super) unsafe fn tdcall(_leaf: Leaf, _registers: &mut Registers) -> Status {
    Status(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn having_had_nothing_to_do_is_no_success() {
        assert!(Status(0).is_success());
        assert!(Status(0x12).is_success(), "the operand does not count");
        assert!(!Status(0x0000_0b0a_0000_0000).is_success());
        assert_eq!(Status(0xc000_0b0b_0000_0001).code(), Status::PAGE_SIZE_MISMATCH);
    }
}
