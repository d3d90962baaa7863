//! [`EnclaveReport`]: the report body of an SGX enclave (Intel SDM volume 3D, table 40-21), here always the quoting enclave's.

use crate::reader::{Malformed, Reader};

/// What the processor says of an enclave.
#[derive(Clone, Copy, Debug)]
pub struct EnclaveReport<'a> {
    /// All of it: what the PCK signed.
    pub bytes: &'a [u8; 384],
    /// Security version of the processor, component by component.
    pub cpu_svn: &'a [u8; 16],
    /// Extended features of its save area.
    pub misc_select: &'a [u8; 4],
    /// FLAGS and XFRM.
    pub attributes: &'a [u8; 16],
    /// Its code.
    pub mr_enclave: &'a [u8; 32],
    /// Who signed it.
    pub mr_signer: &'a [u8; 32],
    /// Which of the signer's products.
    pub isv_prod_id: u16,
    /// Which security version.
    pub isv_svn: u16,
    /// What it put in.
    pub report_data: &'a [u8; 64],
}

impl<'a> EnclaveReport<'a> {
    pub(crate) fn read(bytes: &'a [u8; 384]) -> Result<Self, Malformed> {
        const FIELD: &str = "the quoting enclave's report";
        let mut reader = Reader::new(bytes);
        let cpu_svn = reader.array(FIELD)?;
        let misc_select = reader.array(FIELD)?;
        reader.array::<28>(FIELD)?;
        let attributes = reader.array(FIELD)?;
        let mr_enclave = reader.array(FIELD)?;
        reader.array::<32>(FIELD)?;
        let mr_signer = reader.array(FIELD)?;
        reader.array::<96>(FIELD)?;
        let isv_prod_id = reader.u16(FIELD)?;
        let isv_svn = reader.u16(FIELD)?;
        reader.array::<60>(FIELD)?;
        let report_data = reader.array(FIELD)?;
        reader.finish(FIELD)?;
        Ok(Self {
            bytes,
            cpu_svn,
            misc_select,
            attributes,
            mr_enclave,
            mr_signer,
            isv_prod_id,
            isv_svn,
            report_data,
        })
    }

    /// Whether the enclave can be looked into (ATTRIBUTES.DEBUG).
    #[must_use]
    pub const fn is_debug(&self) -> bool {
        self.attributes[0] & 0b10 != 0
    }
}
