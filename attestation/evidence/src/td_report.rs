//! [`TdReport`]: TDREPORT_STRUCT (Intel TDX Module ABI specification), what the module hands out and the quoting enclave turns into
//! a quote. Its MAC can be checked on the same platform only; that its parts hang together can be checked anywhere.

use sha2::{Digest as _, Sha384};

use crate::Registers;
use crate::reader::{Malformed, Reader, expect};

/// A report, whose digests are those of its parts.
#[derive(Clone, Copy, Debug)]
pub struct TdReport<'a> {
    /// Version of the layout: 0, or 1 if service domains are bound.
    pub version: u8,
    /// Security version of the processor.
    pub cpu_svn: &'a [u8; 16],
    /// What the asker had put in.
    pub report_data: &'a [u8; 64],
    /// By the processor, for processors of the same platform.
    pub mac: &'a [u8; 32],
    /// Security versions of module and platform.
    pub tee_tcb_svn: &'a [u8; 16],
    /// The TDX module.
    pub mr_seam: &'a [u8; 48],
    /// Who signed the module.
    pub mr_signer_seam: &'a [u8; 48],
    /// The domain's attributes.
    pub td_attributes: u64,
    /// Extended features.
    pub xfam: u64,
    /// The firmware.
    pub mr_td: &'a [u8; 48],
    /// Declared by the host: configuration, owner, owner's configuration.
    pub mr_config_id: &'a [u8; 48],
    /// See `mr_config_id`.
    pub mr_owner: &'a [u8; 48],
    /// See `mr_config_id`.
    pub mr_owner_config: &'a [u8; 48],
    /// RTMR0 to RTMR3.
    pub rtmr: [&'a [u8; 48]; 4],
    /// Service domains that are bound.
    pub service_td_hash: &'a [u8; 48],
}

const FIELD: &str = "the TD report";

impl<'a> TdReport<'a> {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// When it is not 1024 bytes of a TDX report, or its digests are not those of its parts.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let whole = reader.array::<1024>(FIELD)?;
        reader.finish(FIELD)?;

        let mut reader = Reader::new(whole);
        let kind = reader.u8(FIELD)?;
        let subtype = reader.u8(FIELD)?;
        let version = reader.u8(FIELD)?;
        expect("the report's type", kind, 0x81, "0x81 (TDX)")?;
        expect("the report's subtype", subtype, 0, "0")?;
        if version > 1 {
            let expected = "0 or 1";
            return Err(Malformed::Unexpected {
                field: "the report's version",
                value: version.into(),
                expected,
            });
        }
        reader.array::<13>(FIELD)?;
        let cpu_svn = reader.array(FIELD)?;
        let tcb_info_hash = reader.array::<48>(FIELD)?;
        let td_info_hash = reader.array::<48>(FIELD)?;
        let report_data = reader.array(FIELD)?;
        reader.array::<32>(FIELD)?;
        let mac = reader.array(FIELD)?;

        let tcb_info = reader.array::<239>(FIELD)?;
        reader.array::<17>(FIELD)?;
        let td_info = reader.array::<512>(FIELD)?;
        reader.finish(FIELD)?;
        for (part, digest) in [(tcb_info.as_slice(), tcb_info_hash), (td_info.as_slice(), td_info_hash)] {
            if Sha384::digest(part).as_slice() != digest {
                return Err(Malformed::Digest("a hash of the TD report"));
            }
        }

        let mut tcb = Reader::new(tcb_info);
        tcb.array::<8>(FIELD)?;
        let tee_tcb_svn = tcb.array(FIELD)?;
        let mr_seam = tcb.array(FIELD)?;
        let mr_signer_seam = tcb.array(FIELD)?;
        let mut td = Reader::new(td_info);
        Ok(Self {
            version,
            cpu_svn,
            report_data,
            mac,
            tee_tcb_svn,
            mr_seam,
            mr_signer_seam,
            td_attributes: td.u64(FIELD)?,
            xfam: td.u64(FIELD)?,
            mr_td: td.array(FIELD)?,
            mr_config_id: td.array(FIELD)?,
            mr_owner: td.array(FIELD)?,
            mr_owner_config: td.array(FIELD)?,
            rtmr: [td.array(FIELD)?, td.array(FIELD)?, td.array(FIELD)?, td.array(FIELD)?],
            service_td_hash: td.array(FIELD)?,
        })
    }

    /// RTMR0 to RTMR3.
    #[must_use]
    pub fn registers(&self) -> Registers {
        self.rtmr.map(|register| *register)
    }
}
