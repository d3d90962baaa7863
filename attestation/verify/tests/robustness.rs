//! Parsers against rubbish: they never panic, and allocate at most four times what they are given.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use allocation_counter::measure;
use attestation_evidence::{EventLog, Quote, RuntimeEvent, RuntimeLog, TdReport};
use attestation_test_pki::{BodyKind, EventLogWriter, Pki, PlatformFields, SHA384, Statement, TdFields};
use attestation_verify::{Collateral, Evidence, OffsetDateTime, TrustRoot, verify};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use proptest::sample::Index;

/// What a parser may allocate at most at one time, for each byte that it is given, besides a little that is always needed.
const FACTOR: u64 = 4;
const ALLOWANCE: u64 = 1024;

struct Samples {
    now: OffsetDateTime,
    root: TrustRoot,
    quotes: Vec<Vec<u8>>,
    bundle: Vec<u8>,
    runtime_log: Vec<u8>,
    event_log: Vec<u8>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let pki = Pki::new(now).unwrap();
    let platform = pki.platform(&PlatformFields::default()).unwrap();
    let mut statement = Statement::new(now);
    statement.revoked_platforms = (1000..1200).collect();
    let mut runtime_log = b"coffer-runtime/1".to_vec();
    runtime_log.extend_from_slice(RuntimeEvent::Configuration([1; 48]).record(0).as_bytes());
    Samples {
        now,
        root: TrustRoot::from_pem(pki.root_pem().as_bytes()).unwrap(),
        quotes: BodyKind::ALL
            .map(|kind| platform.quote(kind, &TdFields::default()).unwrap().to_bytes())
            .to_vec(),
        bundle: pki.bundle(&statement).unwrap().to_json().into_bytes(),
        runtime_log,
        event_log: event_log(),
    }
});

fn event_log() -> Vec<u8> {
    let event =
        |log: EventLogWriter, register: u8| log.event(register.into(), 6, &[register; 48], &[1, 2, 3, 4]);
    let log = (1..4).fold(EventLogWriter::new(0, &[SHA384]), event).finish();
    assert_eq!(EventLog::parse(&log).unwrap().len(), 3);
    log
}

/// Gives `bytes` to every parser; the number of bytes that the hungriest one had allocated at one time.
fn parse_all(bytes: &[u8]) -> u64 {
    let evidence = measure(|| {
        let _ = Quote::parse(bytes);
        let _ = TdReport::parse(bytes);
        if let Ok(log) = EventLog::parse(bytes) {
            let _ = log.replay();
        }
        if let Ok(log) = RuntimeLog::parse(bytes) {
            let _ = log.replay();
        }
    });
    assert_eq!(evidence.count_total, 0, "parsers of evidence allocate nothing");
    measure(|| {
        let _ = Collateral::from_json(bytes);
    })
    .bytes_max
}

fn changed(bytes: &[u8], changes: &[(Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, value) in changes {
        let index = index.index(bytes.len());
        bytes[index] = *value;
    }
    bytes
}

/// Verifies; none of it may panic. The number of bytes that were allocated at one time.
fn verify_all(quote: &[u8], bundle: &[u8], event_log: &[u8], runtime_log: &[u8]) -> Option<u64> {
    let collateral = Collateral::from_json(bundle).ok()?;
    let evidence =
        Evidence { quote, event_log: Some(event_log), runtime_log: Some(runtime_log), report_data: None };
    let allocated = measure(|| {
        drop(verify(&evidence, &collateral, &SAMPLES.root, SAMPLES.now));
    });
    Some(allocated.bytes_max)
}

#[test]
fn samples_stay_within_the_limit() {
    for quote in &SAMPLES.quotes {
        let used = verify_all(quote, &SAMPLES.bundle, &SAMPLES.event_log, &SAMPLES.runtime_log).unwrap();
        let given = u64::try_from(quote.len() + SAMPLES.bundle.len()).unwrap();
        assert!(used <= FACTOR * given, "{used} bytes for {given}");
    }
    let given = u64::try_from(SAMPLES.bundle.len()).unwrap();
    let used = parse_all(&SAMPLES.bundle);
    assert!(used <= FACTOR * given, "{used} bytes for {given}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let limit = ALLOWANCE + FACTOR * u64::try_from(bytes.len()).unwrap();
        prop_assert!(parse_all(&bytes) <= limit);
    }

    #[test]
    fn samples_with_changes_are_read_or_refused(
        which in 0usize..3,
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..8),
        cut in any::<Index>(),
        is_cut in any::<bool>(),
    ) {
        let samples = [&SAMPLES.quotes[which], &SAMPLES.bundle, &SAMPLES.event_log, &SAMPLES.runtime_log];
        for sample in samples {
            let mut bytes = changed(sample, &changes);
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let limit = ALLOWANCE + FACTOR * u64::try_from(bytes.len()).unwrap();
            prop_assert!(parse_all(&bytes) <= limit);
        }
    }

    #[test]
    fn whole_verifications_survive_changes(
        which in 0usize..3,
        in_quote in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        in_bundle in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        in_logs in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        let quote = changed(&SAMPLES.quotes[which], &in_quote);
        let bundle = changed(&SAMPLES.bundle, &in_bundle);
        let logs = (changed(&SAMPLES.event_log, &in_logs), changed(&SAMPLES.runtime_log, &in_logs));
        let given = u64::try_from(quote.len() + bundle.len() + logs.0.len() + logs.1.len()).unwrap();
        if let Some(used) = verify_all(&quote, &bundle, &logs.0, &logs.1) {
            prop_assert!(used <= ALLOWANCE + FACTOR * given, "{} bytes for {}", used, given);
        }
    }
}
