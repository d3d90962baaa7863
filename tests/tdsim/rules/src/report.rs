//! TDREPORT_STRUCT, and who may say what in it (Intel TDX Module ABI specification; table 4.5 of the reference facts).

/// Length of a report.
pub const LEN: usize = 1024;
/// Length of what the MAC is over.
pub const AUTHENTICATED_LEN: usize = 224;
/// Where the MAC is.
pub const MAC: core::ops::Range<usize> = 224..256;

/// A measurement.
pub type Measurement = [u8; 48];

/// The processor and module that this plays, as the test PKI certifies them to be up to date.
pub mod platform {
    /// CPUSVN.
    pub const CPU_SVN: [u8; 16] = [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    /// TEE_TCB_SVN.
    pub const TEE_TCB_SVN: [u8; 16] = [6, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    /// MRSEAM.
    pub const MR_SEAM: [u8; 48] = [0x5e; 48];
}

/// What a report says of a domain.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// ATTRIBUTES.
    pub attributes: u64,
    /// XFAM.
    pub xfam: u64,
    /// MRTD.
    pub mr_td: &'a Measurement,
    /// RTMR0 to RTMR3.
    pub rtmr: &'a [Measurement; 4],
    /// MRCONFIGID, MROWNER, MROWNERCONFIG.
    pub declared: &'a [Measurement; 3],
    /// What the asker puts in.
    pub report_data: &'a [u8; 64],
}

/// Writes a report, but for its MAC, which is over the first [`AUTHENTICATED_LEN`] bytes.
#[must_use]
pub fn build(fields: &Fields, sha384: &dyn Fn(&[u8]) -> Measurement) -> [u8; LEN] {
    const TDX: u8 = 0x81;
    const VERSION: u8 = 0;
    /// Which parts of TEE_TCB_INFO are there: all of TDX 1.5's.
    const VALID: u64 = 0x301ff;
    let mut report = [0; LEN];
    let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[TDX, 0, VERSION]);
    put(16, &platform::CPU_SVN);
    put(128, fields.report_data);
    put(256, &VALID.to_le_bytes());
    put(264, &platform::TEE_TCB_SVN);
    put(280, &platform::MR_SEAM);
    put(384, &platform::TEE_TCB_SVN);
    put(512, &fields.attributes.to_le_bytes());
    put(520, &fields.xfam.to_le_bytes());
    put(528, fields.mr_td);
    put(576, fields.declared.as_flattened());
    put(720, fields.rtmr.as_flattened());
    let hashes = [sha384(&report[256..495]), sha384(&report[512..1024])];
    report[32..128].copy_from_slice(hashes.as_flattened());
    report
}

/// HMAC-SHA256 (RFC 2104) of the part that is authenticated.
#[must_use]
pub fn mac(
    key: &[u8; 32],
    authenticated: &[u8; AUTHENTICATED_LEN],
    sha256: &dyn Fn(&[&[u8]]) -> [u8; 32],
) -> [u8; 32] {
    let mut inner = [0x36; 64];
    let mut outer = [0x5c; 64];
    for (number, byte) in key.iter().enumerate() {
        inner[number] ^= byte;
        outer[number] ^= byte;
    }
    sha256(&[&outer, &sha256(&[&inner, authenticated])])
}

/// What a register becomes when it is extended.
#[must_use]
pub fn extended(
    register: &Measurement,
    with: &Measurement,
    sha384: &dyn Fn(&[u8]) -> Measurement,
) -> Measurement {
    let mut both = [0; 96];
    both[..48].copy_from_slice(register);
    both[48..].copy_from_slice(with);
    sha384(&both)
}

#[cfg(test)]
mod tests {
    use attestation_evidence::TdReport;
    use sha2::{Digest as _, Sha256, Sha384};

    use super::{Fields, build, extended, mac};

    fn sha384(bytes: &[u8]) -> [u8; 48] {
        Sha384::digest(bytes).into()
    }

    #[test]
    fn a_reader_of_reports_takes_it() {
        let rtmr = [[1; 48], [2; 48], [3; 48], [4; 48]];
        let declared = [[5; 48], [6; 48], [7; 48]];
        let fields = Fields {
            attributes: 1 << 28,
            xfam: 0x2e7,
            mr_td: &[8; 48],
            rtmr: &rtmr,
            declared: &declared,
            report_data: &[9; 64],
        };
        let bytes = build(&fields, &sha384);
        let report = TdReport::parse(&bytes).unwrap();
        assert_eq!(report.registers(), rtmr);
        assert_eq!((report.td_attributes, report.xfam), (1 << 28, 0x2e7));
        assert_eq!((report.mr_td, report.mr_owner_config), (&[8; 48], &[7; 48]));
        assert_eq!(report.report_data, &[9; 64]);
    }

    #[test]
    fn the_mac_is_hmac() {
        let sha256 = |parts: &[&[u8]]| {
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| hash.update(part));
            hash.finalize().into()
        };
        // By another implementation: HMAC-SHA256, key of 32 times 0x0b, message of 224 times 0x61.
        let expected = "94165a4050ad4a4b";
        let found = mac(&[0x0b; 32], &[0x61; 224], &sha256);
        let hex: std::string::String = found[..8].iter().map(|byte| std::format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn registers_are_extended_by_hashing() {
        assert_eq!(extended(&[0; 48], &[1; 48], &sha384), sha384(&[[0; 48], [1; 48]].concat()));
    }

    extern crate std;
}
