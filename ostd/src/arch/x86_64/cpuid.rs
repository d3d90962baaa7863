//! CPUID, as a safe function, and the features that ostd asks about.

use core::arch::x86_64::{__cpuid_count, CpuidResult};

/// Registers of `leaf`; zeros where the CPU has no such leaf.
pub(crate) fn leaf(leaf: u32, subleaf: u32) -> CpuidResult {
    let range = leaf & 0xffff_0000;
    let is_hypervisor = range == 0x4000_0000;
    if is_hypervisor && !has_hypervisor() || leaf > __cpuid_count(range, 0).eax {
        return CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    }
    __cpuid_count(leaf, subleaf)
}

/// Whether this is a virtual machine that says so.
pub(crate) fn has_hypervisor() -> bool {
    __cpuid_count(1, 0).ecx & 1 << 31 != 0
}

/// Whether the CPU has x2APIC (SDM vol. 3, 11.12.1).
pub(crate) fn has_x2apic() -> bool {
    leaf(1, 0).ecx & 1 << 21 != 0
}

/// Whether the APIC timer takes absolute TSC deadlines (SDM vol. 3, 11.5.4.1).
pub(crate) fn has_tsc_deadline() -> bool {
    leaf(1, 0).ecx & 1 << 24 != 0
}

/// Whether the CPU has RDSEED.
pub(crate) fn has_rdseed() -> bool {
    leaf(7, 0).ebx & 1 << 18 != 0
}

/// Whether the CPU has RDRAND.
pub(crate) fn has_rdrand() -> bool {
    leaf(1, 0).ecx & 1 << 30 != 0
}
