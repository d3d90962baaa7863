//! What the CPU is and can do, as /proc/cpuinfo shows it.

use spin::Once;

/// What /proc/cpuinfo shows.
#[derive(Clone, Debug)]
pub struct CpuInfo {
    /// CPUID leaf 0's vendor.
    pub vendor: [u8; 12],
    /// CPUID brand string, zero-padded.
    pub brand: [u8; 48],
    /// Family, model, stepping as displayed.
    pub family: u32,
    /// Model.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// The features present, as Linux names them.
    pub flags: &'static [&'static str],
    /// TSC frequency in Hz.
    pub tsc_hz: u64,
}

/// The boot CPU's description.
pub fn info() -> CpuInfo {
    static INFO: Once<CpuInfo> = Once::new();
    INFO.call_once(read).clone()
}

/// The AT_HWCAP value (CPUID leaf 1 EDX) for the auxiliary vector.
pub fn hwcap() -> u64 {
    u64::from(registers(1, 0)[EDX])
}

const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

#[cfg(target_os = "none")]
fn registers(leaf: u32, subleaf: u32) -> [u32; 4] {
    let r = crate::arch::cpuid::leaf(leaf, subleaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}

#[cfg(not(target_os = "none"))]
fn registers(_leaf: u32, _subleaf: u32) -> [u32; 4] {
    [0; 4]
}

fn read() -> CpuInfo {
    let [_, b, c, d] = registers(0, 0);
    let mut vendor = [0; 12];
    for (bytes, register) in vendor.chunks_exact_mut(4).zip([b, d, c]) {
        bytes.copy_from_slice(&register.to_le_bytes());
    }
    let mut brand = [0; 48];
    for (bytes, leaf) in brand.chunks_exact_mut(16).zip(0x8000_0002..) {
        for (bytes, register) in bytes.chunks_exact_mut(4).zip(registers(leaf, 0)) {
            bytes.copy_from_slice(&register.to_le_bytes());
        }
    }
    let (family, model, stepping) = signature(registers(1, 0)[EAX]);
    let flags = FEATURES.iter().filter(|f| registers(f.leaf, f.subleaf)[f.register] & 1 << f.bit != 0);
    // Linux's name for a feature that no register has.
    let confidential = crate::tdx::is_active().then_some("tdx_guest");
    let flags: alloc::vec::Vec<_> = flags.map(|f| f.name).chain(confidential).collect();
    // Made once: `info` keeps the result.
    CpuInfo { vendor, brand, family, model, stepping, flags: flags.leak(), tsc_hz: crate::timer::tsc_hz() }
}

/// Family, model and stepping (SDM vol. 2, CPUID leaf 1; AMD's rule is the same for all families that run 64-bit code).
fn signature(eax: u32) -> (u32, u32, u32) {
    let base_family = eax >> 8 & 15;
    let family = if base_family == 15 { base_family + (eax >> 20 & 0xff) } else { base_family };
    let extended = if base_family == 6 || base_family == 15 { (eax >> 16 & 15) << 4 } else { 0 };
    (family, extended | eax >> 4 & 15, eax & 15)
}

struct Feature {
    leaf: u32,
    subleaf: u32,
    register: usize,
    bit: u32,
    name: &'static str,
}

macro_rules! features {
    ($($leaf:literal $subleaf:literal $register:ident: $($bit:literal $name:literal),*;)*) => {
        &[$($(Feature { leaf: $leaf, subleaf: $subleaf, register: $register, bit: $bit, name: $name }),*),*]
    };
}

/// In the order in which Linux prints them: by its own words of features.
const FEATURES: &[Feature] = features! {
    1 0 EDX: 0 "fpu", 1 "vme", 2 "de", 3 "pse", 4 "tsc", 5 "msr", 6 "pae", 7 "mce", 8 "cx8", 9 "apic", 11 "sep", 12 "mtrr", 13 "pge",
        14 "mca", 15 "cmov", 16 "pat", 17 "pse36", 18 "pn", 19 "clflush", 21 "dts", 22 "acpi", 23 "mmx", 24 "fxsr", 25 "sse",
        26 "sse2", 27 "ss", 28 "ht", 29 "tm", 31 "pbe";
    0x8000_0001 0 EDX: 11 "syscall", 20 "nx", 22 "mmxext", 25 "fxsr_opt", 26 "pdpe1gb", 27 "rdtscp", 29 "lm", 30 "3dnowext", 31 "3dnow";
    0x8000_0007 0 EDX: 8 "constant_tsc";
    1 0 ECX: 0 "pni", 1 "pclmulqdq", 2 "dtes64", 3 "monitor", 5 "vmx", 6 "smx", 7 "est", 8 "tm2", 9 "ssse3", 10 "cid", 12 "fma",
        13 "cx16", 14 "xtpr", 15 "pdcm", 17 "pcid", 18 "dca", 19 "sse4_1", 20 "sse4_2", 21 "x2apic", 22 "movbe", 23 "popcnt",
        24 "tsc_deadline_timer", 25 "aes", 26 "xsave", 28 "avx", 29 "f16c", 30 "rdrand", 31 "hypervisor";
    0x8000_0001 0 ECX: 0 "lahf_lm", 1 "cmp_legacy", 2 "svm", 3 "extapic", 4 "cr8_legacy", 5 "abm", 6 "sse4a", 7 "misalignsse",
        8 "3dnowprefetch", 9 "osvw", 10 "ibs", 11 "xop", 12 "skinit", 13 "wdt", 16 "fma4", 21 "tbm", 22 "topoext", 29 "mwaitx";
    7 0 EBX: 0 "fsgsbase", 1 "tsc_adjust", 2 "sgx", 3 "bmi1", 4 "hle", 5 "avx2", 7 "smep", 8 "bmi2", 9 "erms", 10 "invpcid", 11 "rtm",
        14 "mpx", 16 "avx512f", 17 "avx512dq", 18 "rdseed", 19 "adx", 20 "smap", 21 "avx512ifma", 23 "clflushopt", 24 "clwb",
        26 "avx512pf", 27 "avx512er", 28 "avx512cd", 29 "sha_ni", 30 "avx512bw", 31 "avx512vl";
    0xd 1 EAX: 0 "xsaveopt", 1 "xsavec", 2 "xgetbv1", 3 "xsaves";
    7 1 EAX: 4 "avx_vnni", 5 "avx512_bf16";
    0x8000_0008 0 EBX: 0 "clzero", 2 "xsaveerptr", 9 "wbnoinvd";
    7 0 ECX: 1 "avx512vbmi", 2 "umip", 3 "pku", 5 "waitpkg", 6 "avx512_vbmi2", 8 "gfni", 9 "vaes", 10 "vpclmulqdq", 11 "avx512_vnni",
        12 "avx512_bitalg", 14 "avx512_vpopcntdq", 16 "la57", 22 "rdpid", 25 "cldemote", 27 "movdiri", 28 "movdir64b";
    7 0 EDX: 2 "avx512_4vnniw", 3 "avx512_4fmaps", 4 "fsrm", 8 "avx512_vp2intersect", 10 "md_clear", 14 "serialize", 20 "ibt",
        22 "amx_bf16", 23 "avx512_fp16", 24 "amx_tile", 25 "amx_int8", 29 "arch_capabilities";
};

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn signatures_are_put_together_as_the_manuals_say() {
        assert_eq!(signature(0x000_806f8), (6, 0x8f, 8));
        assert_eq!(signature(0x00a2_0f12), (25, 0x21, 2));
    }
}
