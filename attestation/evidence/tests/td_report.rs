//! TD reports: fields where the specification puts them, and digests that must be those of the parts.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use attestation_evidence::{Malformed, TdReport};
use sha2::{Digest as _, Sha384};

/// Every byte of a part is its own, so that a field that is read elsewhere is noticed.
fn report() -> Vec<u8> {
    let mut report: Vec<u8> = (0..1024u32).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect();
    report[..16].copy_from_slice(&[0x81, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    seal(&mut report);
    report
}

fn seal(report: &mut [u8]) {
    let tcb: [u8; 48] = Sha384::digest(&report[256..495]).into();
    let td: [u8; 48] = Sha384::digest(&report[512..1024]).into();
    report[32..80].copy_from_slice(&tcb);
    report[80..128].copy_from_slice(&td);
}

#[test]
fn fields_are_where_the_specification_puts_them() {
    let bytes = report();
    let report = TdReport::parse(&bytes).unwrap();
    assert_eq!(report.version, 1);
    assert_eq!(report.cpu_svn[..], bytes[16..32]);
    assert_eq!(report.report_data[..], bytes[128..192]);
    assert_eq!(report.mac[..], bytes[224..256]);
    assert_eq!(report.tee_tcb_svn[..], bytes[264..280]);
    assert_eq!(report.mr_seam[..], bytes[280..328]);
    assert_eq!(report.mr_signer_seam[..], bytes[328..376]);
    assert_eq!(report.td_attributes.to_le_bytes(), bytes[512..520]);
    assert_eq!(report.xfam.to_le_bytes(), bytes[520..528]);
    assert_eq!(report.mr_td[..], bytes[528..576]);
    assert_eq!(report.mr_config_id[..], bytes[576..624]);
    assert_eq!(report.mr_owner[..], bytes[624..672]);
    assert_eq!(report.mr_owner_config[..], bytes[672..720]);
    assert_eq!(report.registers().as_flattened(), &bytes[720..912]);
    assert_eq!(report.service_td_hash[..], bytes[912..960]);
}

#[test]
fn a_part_that_is_not_what_its_digest_says_is_refused() {
    for index in (256..495).chain(512..1024) {
        let mut bytes = report();
        bytes[index] ^= 1;
        assert!(matches!(TdReport::parse(&bytes), Err(Malformed::Digest(_))), "byte {index}");
    }
}

#[test]
fn other_reports_are_refused() {
    let whole = report();
    assert!(TdReport::parse(&whole[..1023]).is_err());
    assert!(TdReport::parse(&[whole.as_slice(), &[0]].concat()).is_err());
    for (index, value) in [(0, 0), (1, 1), (2, 2)] {
        let mut bytes = report();
        bytes[index] = value;
        assert!(TdReport::parse(&bytes).is_err(), "byte {index}");
    }
}
