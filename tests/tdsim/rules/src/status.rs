//! What TDCALL leaves in RAX, and what the VMM leaves in R10.

/// Completion status of a TDCALL; the low half is the operand that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u64);

impl Status {
    /// All done.
    pub const SUCCESS: Self = Self(0);
    /// An operand is not valid.
    pub const OPERAND_INVALID: Self = Self(0xC000_0100 << 32);
    /// Another call holds what this one needs.
    pub const OPERAND_BUSY: Self = Self(0x8000_0200 << 32);
    /// There is no virtualisation exception to tell about.
    pub const NO_VALID_VE_INFO: Self = Self(0xC000_0704 << 32);
    /// The page is in use already. Of the success class.
    pub const PAGE_ALREADY_ACCEPTED: Self = Self(0x0000_0B0A << 32);
    /// The page is mapped at a smaller size.
    pub const PAGE_SIZE_MISMATCH: Self = Self(0xC000_0B0B << 32);
    /// A report's MAC is not this platform's.
    pub const INVALID_REPORT_MAC: Self = Self(0xC000_0F02 << 32);
    /// No such metadata field.
    pub const METADATA_FIELD_ID_INCORRECT: Self = Self(0xC000_0C00 << 32);
    /// The field may not be written, or not these bits.
    pub const METADATA_FIELD_NOT_WRITABLE: Self = Self(0xC000_0C02 << 32);

    /// The same about an operand.
    #[must_use]
    pub const fn of(self, operand: Operand) -> Self {
        Self(self.0 | operand as u64)
    }
}

/// Which operand a status is about: the number that the module's ABI gives to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Operand {
    /// The leaf and version.
    Rax = 0,
    /// RCX.
    Rcx = 1,
    /// RDX.
    Rdx = 2,
    /// R8.
    R8 = 8,
}

/// What a VMM answers to TDG.VP.VMCALL in R10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Answer {
    /// Done.
    Success = 0,
    /// Done as far as R11 says; to be called again from there.
    Retry = 1,
    /// Not with these operands.
    InvalidOperand = 0x8000_0000_0000_0000,
    /// An address is not aligned as it must be.
    AlignError = 0x8000_0000_0000_0002,
    /// No such function.
    Unsupported = 0x8000_0000_0000_0003,
}
