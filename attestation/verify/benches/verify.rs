//! One quote with bundled collateral, verified by this crate and by dcap-qvl on the same input: `cargo bench -p attestation-verify`.
//!
//! Both start from bytes: the quote's, and the bundle's JSON.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Duration;

use attestation_test_pki::{BodyKind, Pki, PlatformFields, Statement, TdFields};
use attestation_verify::{Collateral, Evidence, OffsetDateTime, TrustRoot, verify};
use criterion::{Criterion, criterion_group, criterion_main};
use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::verify::QuoteVerifier;

/// Revoked platforms: about as many as are on Intel's list.
const REVOKED: u64 = 80;

fn one_quote(criterion: &mut Criterion) {
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).expect("it is a time");
    let pki = Pki::new(now).expect("keys can be made");
    let platform = pki.platform(&PlatformFields::default()).expect("keys can be made");
    let mut statement = Statement::new(now);
    statement.revoked_platforms = (1000..1000 + REVOKED).collect();
    let quote = platform.quote(BodyKind::V4, &TdFields::default()).expect("keys sign").to_bytes();
    let bundle = pki.bundle(&statement).expect("keys sign").to_json();
    let root = TrustRoot::from_pem(pki.root_pem().as_bytes()).expect("it is a root");
    let oracle = QuoteVerifier::new(pki.root_der().to_vec());
    let seconds = u64::try_from(now.unix_timestamp()).expect("it is after 1970");

    let mut group = criterion.benchmark_group("verify one quote");
    group.measurement_time(Duration::from_secs(5));
    group.bench_function("coffer", |bencher| {
        bencher.iter(|| {
            let collateral = Collateral::from_json(black_box(bundle.as_bytes())).expect("it is a bundle");
            let evidence =
                Evidence { quote: black_box(&quote), event_log: None, runtime_log: None, report_data: None };
            let verification = verify(&evidence, &collateral, &root, now);
            assert!(verification.first_failure().is_none());
            verification
        });
    });
    group.bench_function("dcap-qvl", |bencher| {
        bencher.iter(|| {
            let collateral: QuoteCollateralV3 =
                serde_json::from_slice(black_box(bundle.as_bytes())).expect("it is a bundle");
            oracle.verify(black_box(&quote), &collateral, seconds).expect("it is genuine")
        });
    });
    group.finish();
}

criterion_group!(benches, one_quote);
criterion_main!(benches);
