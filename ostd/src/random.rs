//! Hardware randomness: RDSEED, else RDRAND, health-checked. The kernel seeds its generator from here.

use crate::{Error, Result};

/// Failures in a row that mean the source is dead (SDM vol. 1, 7.3.17.1).
#[cfg(target_os = "none")]
const MAX_TRIES: u32 = 10;

/// RDSEED is allowed to run dry while other processors draw on it, too (7.3.17.2).
#[cfg(target_os = "none")]
const SEED_TRIES: u32 = 10_000;

/// Fills `out` from the hardware.
///
/// # Errors
/// [`crate::Error::Device`] when the CPU has no such instruction or it failed ten times in a row.
pub fn fill(out: &mut [u8]) -> Result<()> {
    fill_from(word, out)
}

fn fill_from(source: fn() -> Result<u64>, out: &mut [u8]) -> Result<()> {
    let mut last = None;
    for chunk in out.chunks_mut(8) {
        let word = source()?;
        // A source that repeats itself is stuck: the known failure gives all ones for ever.
        if last == Some(word) || word == u64::MAX {
            return Err(Error::Device);
        }
        last = Some(word);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

/// In a TD the host must not be what keys depend on: there must be RDRAND and RDSEED, which the module vouches for, and a sample of each must pass.
///
/// # Panics
/// If one does not.
#[cfg(target_os = "none")]
pub(crate) fn require_hardware() {
    use crate::arch::cpuid;
    let works = |source| fill_from(source, &mut [0; 256]).is_ok();
    assert!(
        cpuid::has_rdrand() && works(|| tried(rdrand, MAX_TRIES)),
        "tdx: the CPU has no RDRAND that works"
    );
    assert!(
        cpuid::has_rdseed() && works(|| tried(rdseed, SEED_TRIES)),
        "tdx: the CPU has no RDSEED that works"
    );
}

/// A word from an instruction that may fail for a moment.
#[cfg(target_os = "none")]
fn tried(instruction: fn() -> Option<u64>, tries: u32) -> Result<u64> {
    let one = || {
        instruction().or_else(|| {
            core::hint::spin_loop();
            None
        })
    };
    (0..tries).find_map(|_| one()).ok_or(Error::Device)
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
