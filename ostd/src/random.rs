//! Hardware randomness: RDSEED, else RDRAND, health-checked. The kernel seeds its generator from here.

use crate::{Error, Result};

/// Failures in a row that mean the source is dead (SDM vol. 1, 7.3.17.1).
#[cfg(target_os = "none")]
const MAX_TRIES: u32 = 10;

/// Fills `out` from the hardware.
///
/// # Errors
/// [`crate::Error::Device`] when the CPU has no such instruction or it failed ten times in a row.
pub fn fill(out: &mut [u8]) -> Result<()> {
    let mut last = None;
    for chunk in out.chunks_mut(8) {
        let word = word()?;
        // A source that repeats itself is stuck: the known failure gives all ones for ever.
        if last == Some(word) || word == u64::MAX {
            return Err(Error::Device);
        }
        last = Some(word);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

/// In a TD the host must not be what keys depend on: there must be RDRAND, which the module vouches for, and a sample must pass.
///
/// # Panics
/// If it does not.
#[cfg(target_os = "none")]
pub(crate) fn require_hardware() {
    use crate::arch::cpuid;
    assert!(cpuid::has_rdrand() && fill(&mut [0; 256]).is_ok(), "tdx: the CPU gives no randomness");
}

#[cfg(target_os = "none")]
fn word() -> Result<u64> {
    use crate::arch::cpuid;
    // Remembered: CPUID leaves the machine in every VM.
    static SOURCES: spin::Once<(bool, bool)> = spin::Once::new();
    let (has_rdseed, has_rdrand) = *SOURCES.call_once(|| (cpuid::has_rdseed(), cpuid::has_rdrand()));
    for _ in 0..MAX_TRIES {
        // RDSEED may run dry under load; RDRAND of the same CPU is then as good.
        let word = has_rdseed.then(rdseed).flatten().or_else(|| has_rdrand.then(rdrand).flatten());
        if let Some(word) = word {
            return Ok(word);
        }
        core::hint::spin_loop();
    }
    Err(Error::Device)
}

#[cfg(not(target_os = "none"))]
fn word() -> Result<u64> {
    Err(Error::Device)
}

#[cfg(target_os = "none")]
fn rdseed() -> Option<u64> {
    let (word, is_valid): (u64, u8);
    // SAFETY: the caller asked CPUID for the instruction; it touches no memory.
    unsafe {
        core::arch::asm!("rdseed {}", "setc {}", out(reg) word, out(reg_byte) is_valid, options(nomem, nostack));
    };
    (is_valid != 0).then_some(word)
}

#[cfg(target_os = "none")]
fn rdrand() -> Option<u64> {
    let (word, is_valid): (u64, u8);
    // SAFETY: the caller asked CPUID for the instruction; it touches no memory.
    unsafe {
        core::arch::asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) is_valid, options(nomem, nostack));
    };
    (is_valid != 0).then_some(word)
}
