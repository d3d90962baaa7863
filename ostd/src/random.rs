//! Hardware randomness: RDSEED, else RDRAND, health-checked. The kernel seeds its generator from here.

use crate::Result;

/// Fills `out` from the hardware.
///
/// # Errors
/// [`crate::Error::Device`] when the CPU has no such instruction or it failed ten times in a row.
pub fn fill(out: &mut [u8]) -> Result<()> {
    let _ = out;
    todo!()
}
