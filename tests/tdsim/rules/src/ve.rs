//! What a virtualisation exception tells the guest.

/// Its vector.
pub const VECTOR: u8 = 20;

/// Why it happened: VMX exit reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// CPUID.
    Cpuid = 10,
    /// HLT.
    Hlt = 12,
    /// INVD.
    Invd = 13,
    /// VMCALL.
    Vmcall = 18,
    /// MOV to a control register.
    ControlRegister = 28,
    /// IN, OUT, INS, OUTS.
    Io = 30,
    /// RDMSR.
    MsrRead = 31,
    /// WRMSR.
    MsrWrite = 32,
    /// MWAIT.
    Mwait = 36,
    /// MONITOR.
    Monitor = 39,
    /// A shared or pending page.
    EptViolation = 48,
    /// WBINVD.
    Wbinvd = 54,
}

/// The answer to TDG.VP.VEINFO.GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Why.
    pub reason: Reason,
    /// Details, by reason.
    pub qualification: u64,
    /// Guest linear address, of EPT violations.
    pub gla: u64,
    /// Guest physical address, of EPT violations.
    pub gpa: u64,
    /// Length of the instruction; 0 where the module does not define it.
    pub length: u32,
    /// Further information on the instruction.
    pub information: u32,
}

impl Info {
    /// What an instruction of `length` bytes caused.
    #[must_use]
    pub const fn instruction(reason: Reason, length: u32) -> Self {
        Self { reason, qualification: 0, gla: 0, gpa: 0, length, information: 0 }
    }

    /// The same with a qualification.
    #[must_use]
    pub const fn qualified(self, qualification: u64) -> Self {
        Self { qualification, ..self }
    }
}

/// Qualification of an I/O exit (SDM vol. 3, table 28-5) from SVM's EXITINFO1 (APM vol. 2, 15.10.2).
#[must_use]
pub const fn io_qualification(exit_info: u64) -> u64 {
    let size = match exit_info >> 4 & 7 {
        4 => 3,
        2 => 1,
        _ => 0,
    };
    let is_in = exit_info & 1;
    let is_string = exit_info >> 2 & 1;
    let is_repeated = exit_info >> 3 & 1;
    size | is_in << 3 | is_string << 4 | is_repeated << 5 | (exit_info >> 16 & 0xffff) << 16
}

/// Qualification of an EPT violation (SDM vol. 3, table 28-7) from the error code of a nested page fault.
#[must_use]
pub const fn ept_qualification(error_code: u64) -> u64 {
    let is_write = error_code >> 1 & 1;
    let is_fetch = error_code >> 4 & 1;
    let is_read = (is_write | is_fetch) ^ 1;
    let is_linear_valid = 1 << 7;
    // Not set while the guest's own page tables were being walked.
    let is_translated = (error_code >> 32 & 1) << 8;
    is_read | is_write << 1 | is_fetch << 2 | is_linear_valid | is_translated
}

#[cfg(test)]
mod tests {
    use super::{ept_qualification, io_qualification};

    #[test]
    fn port_exits_are_told_in_intels_terms() {
        // OUT to 0x3f8, one byte; IN from 0xcfc, four bytes; REP OUTSB.
        assert_eq!(io_qualification(0x3f8 << 16 | 1 << 4), 0x3f8 << 16);
        assert_eq!(io_qualification(0xcfc << 16 | 4 << 4 | 1), 0xcfc << 16 | 1 << 3 | 3);
        assert_eq!(io_qualification(0x3f8 << 16 | 1 << 4 | 1 << 3 | 1 << 2), 0x3f8 << 16 | 1 << 5 | 1 << 4);
    }

    #[test]
    fn an_access_is_a_read_a_write_or_a_fetch() {
        assert_eq!(ept_qualification(1 << 32 | 4), 0x181);
        assert_eq!(ept_qualification(1 << 32 | 6), 0x182);
        assert_eq!(ept_qualification(1 << 33 | 0x14), 0x84);
    }
}
