//! [`Quote`]: a quote in parts, each as bytes; [`TdFields`] and [`EnclaveFields`] are what goes into the two reports.

/// The quoting enclave's signer, of this PKI.
pub(crate) const QE_SIGNER: [u8; 32] = *b"coffer-tests-enclave-signer-0001";

/// Version and layout of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Version 4.
    V4,
    /// Version 5 with a body of TDX 1.0.
    V5Td10,
    /// Version 5 with a body of TDX 1.5.
    V5Td15,
}

impl BodyKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V4, Self::V5Td10, Self::V5Td15];

    pub(crate) fn header(self) -> [u8; 48] {
        let mut header = [0; 48];
        header[0] = if self == Self::V4 { 4 } else { 5 };
        header[2] = 2;
        header[4] = 0x81;
        header[12..28].copy_from_slice(&[
            0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
        ]);
        header
    }

    pub(crate) fn descriptor(self) -> Vec<u8> {
        match self {
            Self::V4 => Vec::new(),
            Self::V5Td10 => vec![2, 0, 0x48, 0x02, 0, 0],
            Self::V5Td15 => vec![3, 0, 0x88, 0x02, 0, 0],
        }
    }
}

/// What is said of a trust domain.
#[derive(Clone, Debug)]
pub struct TdFields {
    /// Versions of module and platform, when the domain was made.
    pub tee_tcb_svn: [u8; 16],
    /// The TDX module.
    pub mr_seam: [u8; 48],
    /// Its signer.
    pub mr_signer_seam: [u8; 48],
    /// Its attributes.
    pub seam_attributes: [u8; 8],
    /// The domain's attributes.
    pub td_attributes: u64,
    /// Its features.
    pub xfam: u64,
    /// Its firmware.
    pub mr_td: [u8; 48],
    /// Declared by the host.
    pub mr_config_id: [u8; 48],
    /// Declared by the host.
    pub mr_owner: [u8; 48],
    /// Declared by the host.
    pub mr_owner_config: [u8; 48],
    /// RTMR0 to RTMR3.
    pub rtmr: [[u8; 48]; 4],
    /// What the asker had put in.
    pub report_data: [u8; 64],
    /// Versions now, of TDX 1.5.
    pub tee_tcb_svn_2: [u8; 16],
    /// Service domains, of TDX 1.5.
    pub mr_service_td: [u8; 48],
}

impl Default for TdFields {
    fn default() -> Self {
        let tee_tcb_svn = [6, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self {
            tee_tcb_svn,
            mr_seam: [0x5e; 48],
            mr_signer_seam: [0; 48],
            seam_attributes: [0; 8],
            td_attributes: 1 << 28,
            xfam: 0x0006_02e7,
            mr_td: [0xd0; 48],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmr: [[0; 48]; 4],
            report_data: [0; 64],
            tee_tcb_svn_2: tee_tcb_svn,
            mr_service_td: [0; 48],
        }
    }
}

impl TdFields {
    pub(crate) fn to_bytes(&self, kind: BodyKind) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.tee_tcb_svn);
        body.extend_from_slice(&self.mr_seam);
        body.extend_from_slice(&self.mr_signer_seam);
        body.extend_from_slice(&self.seam_attributes);
        body.extend_from_slice(&self.td_attributes.to_le_bytes());
        body.extend_from_slice(&self.xfam.to_le_bytes());
        for register in [&self.mr_td, &self.mr_config_id, &self.mr_owner, &self.mr_owner_config] {
            body.extend_from_slice(register);
        }
        body.extend(self.rtmr.as_flattened());
        body.extend_from_slice(&self.report_data);
        if kind == BodyKind::V5Td15 {
            body.extend_from_slice(&self.tee_tcb_svn_2);
            body.extend_from_slice(&self.mr_service_td);
        }
        body
    }
}

/// What is said of a quoting enclave.
#[derive(Clone, Debug)]
pub struct EnclaveFields {
    /// Extended features.
    pub misc_select: [u8; 4],
    /// FLAGS and XFRM.
    pub attributes: [u8; 16],
    /// Its signer.
    pub mr_signer: [u8; 32],
    /// Which product.
    pub isv_prod_id: u16,
    /// Which version.
    pub isv_svn: u16,
}

impl Default for EnclaveFields {
    fn default() -> Self {
        Self {
            misc_select: [0; 4],
            attributes: [0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0],
            mr_signer: QE_SIGNER,
            isv_prod_id: 2,
            isv_svn: 4,
        }
    }
}

impl EnclaveFields {
    pub(crate) fn report(&self, cpu_svn: &[u8; 16], report_data: &[u8; 64]) -> Vec<u8> {
        let mut report = vec![0; 384];
        let mut put =
            |offset: usize, bytes: &[u8]| report[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, cpu_svn);
        put(16, &self.misc_select);
        put(48, &self.attributes);
        put(64, &[0xee; 32]);
        put(128, &self.mr_signer);
        put(256, &self.isv_prod_id.to_le_bytes());
        put(258, &self.isv_svn.to_le_bytes());
        put(320, report_data);
        report
    }
}

/// A quote in parts.
#[derive(Clone, Debug)]
pub struct Quote {
    /// 48 bytes.
    pub header: [u8; 48],
    /// Of version 5: type and size of the body.
    pub descriptor: Vec<u8>,
    /// What is said of the domain.
    pub body: Vec<u8>,
    /// By the attestation key, over all of the above.
    pub signature: [u8; 64],
    /// x and y.
    pub attestation_key: [u8; 64],
    /// 384 bytes.
    pub qe_report: Vec<u8>,
    /// By the platform's key.
    pub qe_report_signature: [u8; 64],
    /// What the report vouches for besides the key.
    pub authentication: Vec<u8>,
    /// In PEM.
    pub certificates: Vec<u8>,
    /// What comes after the end.
    pub padding: Vec<u8>,
}

impl Quote {
    /// What the attestation key signs.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        [self.header.as_slice(), &self.descriptor, &self.body].concat()
    }

    /// All of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut certification = self.qe_report.clone();
        certification.extend_from_slice(&self.qe_report_signature);
        let length = u16::try_from(self.authentication.len()).unwrap_or(u16::MAX);
        certification.extend_from_slice(&length.to_le_bytes());
        certification.extend_from_slice(&self.authentication);
        certification.extend_from_slice(&prefixed(Some(5), &self.certificates));

        let mut authentication = self.signature.to_vec();
        authentication.extend_from_slice(&self.attestation_key);
        authentication.extend_from_slice(&prefixed(Some(6), &certification));
        [self.signed(), prefixed(None, &authentication), self.padding.clone()].concat()
    }
}

/// A type, if it has one, a length and what it is the length of.
fn prefixed(kind: Option<u16>, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut all = kind.map(u16::to_le_bytes).map(Vec::from).unwrap_or_default();
    all.extend_from_slice(&length.to_le_bytes());
    all.extend_from_slice(bytes);
    all
}
