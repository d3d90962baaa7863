//! [`Quote`]: a TDX quote, version 4 or 5 (Intel TDX DCAP Quoting Library API, appendix A.3 and A.4).
//!
//! Of the many forms that the format allows, one is in use: an ECDSA key on P-256, certified by a report of the quoting enclave, which a
//! certificate chain in PEM certifies. This is the only one taken. Linux pads quotes with zeros up to the size of its buffer; anything
//! else after the end is refused, so that no byte of a file goes unexplained.

use crate::Registers;
use crate::enclave_report::EnclaveReport;
use crate::reader::{Malformed, Reader, expect};

/// The vendor of quoting enclaves that Intel's identities are about.
pub const INTEL_QE_VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];

const ECDSA_P256: u64 = 2;
const TEE_TDX: u64 = 0x81;
const CERTIFICATION_BY_QE_REPORT: u64 = 6;
const CERTIFICATION_BY_PCK_CHAIN: u64 = 5;

/// Which layout a quote's body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// 584 bytes, of TDX 1.0.
    Td10,
    /// 648 bytes, of TDX 1.5.
    Td15,
}

/// A quote, all of whose lengths agree.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'a> {
    /// 4 or 5.
    pub version: u16,
    /// Who made the quoting enclave.
    pub vendor: &'a [u8; 16],
    /// What the quoting enclave identifies the platform by.
    pub user_data: &'a [u8; 20],
    /// Which layout `body` came in.
    pub kind: BodyKind,
    /// What is said of the trust domain.
    pub body: TdBody<'a>,
    /// What the attestation key signed: header and body.
    pub signed: &'a [u8],
    /// Who says it.
    pub signature: QuoteSignature<'a>,
    /// Zero bytes after the end.
    pub padding: usize,
}

/// The measured state of a trust domain.
#[derive(Clone, Copy, Debug)]
pub struct TdBody<'a> {
    /// Security versions of the TDX module (0 and 1) and the platform, when the domain was made.
    pub tee_tcb_svn: &'a [u8; 16],
    /// The TDX module.
    pub mr_seam: &'a [u8; 48],
    /// Who signed the module: zero for Intel.
    pub mr_signer_seam: &'a [u8; 48],
    /// The module's attributes.
    pub seam_attributes: &'a [u8; 8],
    /// The domain's attributes.
    pub td_attributes: u64,
    /// Extended features that the domain may use.
    pub xfam: u64,
    /// What was loaded at the start: the firmware.
    pub mr_td: &'a [u8; 48],
    /// Configuration that the host declared.
    pub mr_config_id: &'a [u8; 48],
    /// Owner that the host declared.
    pub mr_owner: &'a [u8; 48],
    /// Configuration of the owner that the host declared.
    pub mr_owner_config: &'a [u8; 48],
    /// RTMR0 to RTMR3.
    pub rtmr: [&'a [u8; 48]; 4],
    /// What the asker had put in.
    pub report_data: &'a [u8; 64],
    /// TDX 1.5: security versions now, which may be newer than when the domain was made.
    pub tee_tcb_svn_2: Option<&'a [u8; 16]>,
    /// TDX 1.5: service domains (migration) that are bound to this one.
    pub mr_service_td: Option<&'a [u8; 48]>,
}

/// The signature, and the chain from its key to the platform's certificate.
#[derive(Clone, Copy, Debug)]
pub struct QuoteSignature<'a> {
    /// r and s, 32 bytes each.
    pub signature: &'a [u8; 64],
    /// The attestation key: x and y, 32 bytes each.
    pub attestation_key: &'a [u8; 64],
    /// The report by which the quoting enclave vouches for the key.
    pub qe_report: EnclaveReport<'a>,
    /// By the platform's certified key (PCK), over the report.
    pub qe_report_signature: &'a [u8; 64],
    /// What the report's data cover besides the key.
    pub qe_authentication: &'a [u8],
    /// The PCK's certificate, its authority's and the root's, in PEM.
    pub certificates: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads all of `bytes`.
    ///
    /// # Errors
    ///
    /// When it is not a TDX quote of a known form, or anything but zeros comes after its end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = reader.u16("the quote's header")?;
        let key_type = reader.u16("the quote's header")?;
        let tee_type = reader.u32("the quote's header")?;
        if !matches!(version, 4 | 5) {
            let expected = "4 or 5, the versions of TDX quotes";
            return Err(Malformed::Unexpected {
                field: "the quote's version",
                value: version.into(),
                expected,
            });
        }
        expect("the attestation key's type", key_type, ECDSA_P256, "2 (ECDSA on P-256)")?;
        expect("the quote's TEE type", tee_type, TEE_TDX, "0x81 (TDX)")?;
        reader.array::<4>("the quote's header")?;
        let vendor = reader.array("the quote's header")?;
        let user_data = reader.array("the quote's header")?;

        let kind = if version == 4 { BodyKind::Td10 } else { body_kind(&mut reader)? };
        let body = TdBody::read(&mut reader, kind)?;
        let signed = bytes.get(..bytes.len() - reader.rest().len()).unwrap_or_default();

        let signature = QuoteSignature::parse(reader.prefixed("the signature data")?)?;
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(Malformed::NotEmpty("the padding after the quote"));
        }
        let padding = reader.rest().len();
        Ok(Self { version, vendor, user_data, kind, body, signed, signature, padding })
    }
}

/// Version 5 names the body's layout, and its size once more.
fn body_kind(reader: &mut Reader<'_>) -> Result<BodyKind, Malformed> {
    let kind = match reader.u16("the body's type")? {
        2 => BodyKind::Td10,
        3 => BodyKind::Td15,
        other => {
            let expected = "2 (TDX 1.0) or 3 (TDX 1.5)";
            return Err(Malformed::Unexpected { field: "the body's type", value: other.into(), expected });
        }
    };
    let size = reader.u32("the body's size")?;
    if size == kind.size() { Ok(kind) } else { Err(Malformed::Length("the body's size")) }
}

impl BodyKind {
    const fn size(self) -> u32 {
        match self {
            Self::Td10 => 584,
            Self::Td15 => 648,
        }
    }
}

impl<'a> TdBody<'a> {
    fn read(reader: &mut Reader<'a>, kind: BodyKind) -> Result<Self, Malformed> {
        const FIELD: &str = "the quote's body";
        Ok(Self {
            tee_tcb_svn: reader.array(FIELD)?,
            mr_seam: reader.array(FIELD)?,
            mr_signer_seam: reader.array(FIELD)?,
            seam_attributes: reader.array(FIELD)?,
            td_attributes: reader.u64(FIELD)?,
            xfam: reader.u64(FIELD)?,
            mr_td: reader.array(FIELD)?,
            mr_config_id: reader.array(FIELD)?,
            mr_owner: reader.array(FIELD)?,
            mr_owner_config: reader.array(FIELD)?,
            rtmr: [reader.array(FIELD)?, reader.array(FIELD)?, reader.array(FIELD)?, reader.array(FIELD)?],
            report_data: reader.array(FIELD)?,
            tee_tcb_svn_2: if kind == BodyKind::Td15 { Some(reader.array(FIELD)?) } else { None },
            mr_service_td: if kind == BodyKind::Td15 { Some(reader.array(FIELD)?) } else { None },
        })
    }

    /// RTMR0 to RTMR3.
    #[must_use]
    pub fn registers(&self) -> Registers {
        self.rtmr.map(|register| *register)
    }
}

impl<'a> QuoteSignature<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let signature = reader.array("the quote's signature")?;
        let attestation_key = reader.array("the attestation key")?;
        let outer = certification(
            &mut reader,
            "the certification data's type",
            CERTIFICATION_BY_QE_REPORT,
            "6 (a report of the quoting enclave)",
        )?;
        reader.finish("the signature data")?;

        let mut reader = Reader::new(outer);
        let qe_report = EnclaveReport::read(reader.array("the quoting enclave's report")?)?;
        let qe_report_signature = reader.array("the quoting enclave's report signature")?;
        let authentication_length = reader.u16("the quoting enclave's authentication data")?;
        let qe_authentication =
            reader.bytes(authentication_length.into(), "the quoting enclave's authentication data")?;
        let certificates = certification(
            &mut reader,
            "the inner certification data's type",
            CERTIFICATION_BY_PCK_CHAIN,
            "5 (a certificate chain)",
        )?;
        reader.finish("the certification data")?;
        Ok(Self {
            signature,
            attestation_key,
            qe_report,
            qe_report_signature,
            qe_authentication,
            certificates,
        })
    }
}

/// Certification data of one type.
fn certification<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    wanted: u64,
    expected: &'static str,
) -> Result<&'a [u8], Malformed> {
    let kind = reader.u16(field)?;
    expect(field, kind, wanted, expected)?;
    reader.prefixed("the certification data")
}
