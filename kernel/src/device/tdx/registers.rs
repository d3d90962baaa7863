//! Measurement registers of the trust domain, by the names that Linux's files have (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest).

use super::errno;
use crate::error::{Errno, Error, Result};
use crate::thread::Thread;
use ostd::tdx::{REPORT_DATA_LEN, RTMR_LEN};

/// A register.
#[derive(Debug)]
pub struct Register {
    /// Its file's name; with the algorithm, where it is a digest.
    pub name: &'static str,
    /// Where a TDREPORT has it (Intel TDX Module ABI specification, TDINFO_STRUCT).
    offset: usize,
    /// Who may extend it, and its number.
    extending: Option<(Extender, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extender {
    /// Whoever was given the file.
    Anyone,
    /// Process 1 of the machine: it is the record of what ran here.
    Init,
}

/// All of them. Registers 0 and 1 are the firmware's.
pub const REGISTERS: &[Register] = &[
    Register { name: "mrtd:sha384", offset: 528, extending: None },
    Register { name: "mrconfigid", offset: 576, extending: None },
    Register { name: "mrowner", offset: 624, extending: None },
    Register { name: "mrownerconfig", offset: 672, extending: None },
    Register { name: "rtmr0:sha384", offset: 720, extending: None },
    Register { name: "rtmr1:sha384", offset: 768, extending: None },
    Register { name: "rtmr2:sha384", offset: 816, extending: Some((Extender::Anyone, 2)) },
    Register { name: "rtmr3:sha384", offset: 864, extending: Some((Extender::Init, 3)) },
];

impl Register {
    /// Permissions of its file.
    pub fn permissions(&self) -> u32 {
        if self.extending.is_some() { 0o644 } else { 0o444 }
    }

    /// Its value now.
    ///
    /// # Errors
    /// ENOMEM; EIO if the module refuses.
    pub fn read(&self) -> Result<[u8; RTMR_LEN]> {
        let report = ostd::tdx::report(&[0; REPORT_DATA_LEN]).map_err(errno)?;
        let mut value = [0; RTMR_LEN];
        value.copy_from_slice(&report[self.offset..self.offset + RTMR_LEN]);
        Ok(value)
    }

    /// Extends it by a digest.
    ///
    /// # Errors
    /// EINVAL for what is no digest, EPERM if that is not the caller's to do, ENOMEM, EIO.
    pub fn extend(&self, digest: &[u8]) -> Result<()> {
        let (extender, index) = self.extending.ok_or(Errno::EPERM)?;
        let is_init = || Thread::current().is_some_and(|thread| thread.process().is_init());
        if extender == Extender::Init && !is_init() {
            return Err(Error::with(Errno::EPERM, "the register is process 1's"));
        }
        let digest = digest.try_into().map_err(|_| Error::with(Errno::EINVAL, "a digest has 48 bytes"))?;
        Ok(ostd::tdx::extend_rtmr(index, digest).map_err(errno)?)
    }
}
