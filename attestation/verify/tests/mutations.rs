//! One byte changed anywhere in a quote or a bundle, and it is refused.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use attestation_test_pki::{BodyKind, Pki, PlatformFields, Statement, TdFields};
use attestation_verify::{Collateral, Evidence, OffsetDateTime, TrustRoot, verify};

struct Sample {
    now: OffsetDateTime,
    root: TrustRoot,
    quote: Vec<u8>,
    bundle: Vec<u8>,
}

impl Sample {
    fn new(kind: BodyKind) -> Self {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let pki = Pki::new(now).unwrap();
        let mut quote =
            pki.platform(&PlatformFields::default()).unwrap().quote(kind, &TdFields::default()).unwrap();
        quote.padding = vec![0; 70];
        let sample = Self {
            now,
            root: TrustRoot::from_pem(pki.root_pem().as_bytes()).unwrap(),
            quote: quote.to_bytes(),
            bundle: pki.bundle(&Statement::new(now)).unwrap().to_json().into_bytes(),
        };
        assert!(sample.is_genuine(&sample.quote, &sample.bundle));
        sample
    }

    fn is_genuine(&self, quote: &[u8], bundle: &[u8]) -> bool {
        let evidence = Evidence { quote, event_log: None, runtime_log: None, report_data: None };
        Collateral::from_json(bundle).is_ok_and(|collateral| {
            verify(&evidence, &collateral, &self.root, self.now).first_failure().is_none()
        })
    }
}

fn no_byte_of_the_quote_can_be_changed(kind: BodyKind, limit: usize) {
    let sample = Sample::new(kind);
    for index in 0..sample.quote.len().min(limit) {
        let mut quote = sample.quote.clone();
        // Another bit at each place, for reasons of time.
        quote[index] ^= 1 << (index % 8);
        assert!(!sample.is_genuine(&quote, &sample.bundle), "byte {index}");
    }
}

#[test]
fn no_byte_of_a_quote_of_version_4_can_be_changed() {
    no_byte_of_the_quote_can_be_changed(BodyKind::V4, usize::MAX);
}

/// Up to the certificates, which are the same in both versions.
#[test]
fn no_byte_of_a_quote_of_version_5_can_be_changed() {
    no_byte_of_the_quote_can_be_changed(BodyKind::V5Td15, 1334);
}

/// The bit that tells upper from lower case is left alone: hexadecimal digits are the same in both.
#[test]
fn no_byte_of_a_bundle_can_be_changed() {
    let sample = Sample::new(BodyKind::V4);
    for (count, index) in (0..sample.bundle.len()).step_by(3).enumerate() {
        let mut bundle = sample.bundle.clone();
        bundle[index] ^= [1, 2, 4, 8, 16, 64, 128][count % 7];
        assert!(!sample.is_genuine(&sample.quote, &bundle), "byte {index}");
    }
}

#[test]
fn no_prefix_of_a_quote_or_bundle_is_taken() {
    let sample = Sample::new(BodyKind::V5Td10);
    let end = sample.quote.len() - 70;
    for length in (0..end).step_by(13).chain([end - 1]) {
        assert!(!sample.is_genuine(&sample.quote[..length], &sample.bundle), "{length} bytes of the quote");
    }
    for length in (0..sample.bundle.len()).step_by(101) {
        assert!(!sample.is_genuine(&sample.quote, &sample.bundle[..length]), "{length} bytes of the bundle");
    }
}
