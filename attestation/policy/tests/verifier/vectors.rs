//! Genuine quotes, collateral and event logs, each with the verdict that their folder's README states. They come from public
//! repositories and stay outside of this one: `../shared/data/tdx` beside it, or the folder that `TDX_VECTORS` names. Without them,
//! these tests are counted as ignored.

use std::path::Path;

use attestation_evidence::{EventLog, event_type_name};
use attestation_policy::{Circumstances, Judgement, Policy, judge};
use attestation_verify::{
    CheckName, Collateral, Evidence, OffsetDateTime, Outcome, TcbStatus, TrustRoot, Verification, verify,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::verify::QuoteVerifier;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

fn read(name: &str) -> Vec<u8> {
    // build.rs sets it where there are vectors.
    let path = Path::new(option_env!("TDX_VECTORS").unwrap_or_default()).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

fn verify_vector(quote: &[u8], collateral: &str, time: &str) -> Verification {
    let evidence = Evidence { quote, event_log: None, runtime_log: None, report_data: None };
    let collateral = Collateral::from_json(&read(&format!("collateral-{collateral}.json"))).unwrap();
    verify(&evidence, &collateral, &TrustRoot::intel(), at(time))
}

fn judge_vector(quote: &[u8], collateral: &str, time: &str) -> Judgement {
    judge(&verify_vector(quote, collateral, time), &Policy::default(), &Circumstances::default())
}

#[track_caller]
fn assert_accepted(judgement: &Judgement) {
    assert!(judgement.is_accepted(), "{}", judgement.verdict());
}

#[track_caller]
fn assert_refused(judgement: &Judgement, name: CheckName) {
    let failure = judgement.first_failure().map(|check| check.name);
    assert_eq!(failure, Some(name), "{}", judgement.verdict());
}

const V4: &str = "quote-v4-uptodate.bin";
const V4_COLLATERAL: &str = "b0c06f000000-2025-06";
const V4_TIME: &str = "2025-07-01T00:00:00Z";
const V5_COLLATERAL: &str = "90c06f000000-2026-02";

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn v4_is_up_to_date_as_long_as_its_collateral_holds() {
    let quote = read(V4);
    for time in ["2025-06-19T10:32:27Z", V4_TIME, "2025-07-19T10:00:35Z"] {
        assert_accepted(&judge_vector(&quote, V4_COLLATERAL, time));
    }
    assert_refused(&judge_vector(&quote, V4_COLLATERAL, "2025-06-19T10:32:26Z"), CheckName::QeIdentity);
    assert_refused(&judge_vector(&quote, V4_COLLATERAL, "2025-07-19T10:00:36Z"), CheckName::PckRevocation);
    let tcb = verify_vector(&quote, V4_COLLATERAL, V4_TIME).tcb.unwrap();
    assert_eq!(tcb.status, TcbStatus::UpToDate);
    assert_eq!(tcb.evaluation_data_number, 17);
    assert_eq!(tcb.collateral_expires, "2025-07-19T10:00:35Z");
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn v5_is_up_to_date() {
    assert_accepted(&judge_vector(&read("quote-v5-uptodate.bin"), V5_COLLATERAL, "2026-02-19T00:00:00Z"));
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn v5_that_reaches_no_level_is_refused() {
    for time in ["2026-02-19T00:00:00Z", "2026-03-20T00:00:00Z"] {
        let judgement = judge_vector(&read("quote-v5-no-matching-tcb-level.bin"), V5_COLLATERAL, time);
        assert_refused(&judgement, CheckName::PlatformTcb);
    }
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn v4_of_a_debug_domain_is_refused_though_its_platform_is_up_to_date() {
    let quote = read("quote-v4-debug.bin");
    for time in ["2023-06-18T12:00:00Z", "2023-07-08T00:00:00Z"] {
        let verification = verify_vector(&quote, "50806f000000-2023-06", time);
        assert_eq!(verification.tcb.as_ref().unwrap().status, TcbStatus::UpToDate);
        let judgement = judge(&verification, &Policy::default(), &Circumstances::default());
        assert_refused(&judgement, CheckName::PolicyTdDebug);
    }
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn v3_of_sgx_is_refused() {
    let judgement = judge_vector(&read("quote-v3-sgx.bin"), V4_COLLATERAL, V4_TIME);
    assert_refused(&judgement, CheckName::QuoteFormat);
    assert_eq!(
        judgement.first_failure().unwrap().reason,
        "this is not a TDX quote: the quote's version is 0x3, expected 4 or 5, the versions of TDX quotes"
    );
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn the_stated_mutations_have_the_stated_verdicts() {
    let quote = read(V4);
    let judge_mutated = |offset: usize| {
        let mut mutated = quote.clone();
        mutated[offset] ^= 1;
        judge_vector(&mutated, V4_COLLATERAL, V4_TIME)
    };
    assert_refused(&judge_mutated(48 + 520), CheckName::QuoteSignature);
    assert_refused(&judge_mutated(636), CheckName::QuoteSignature);
    assert_refused(&judge_mutated(700), CheckName::QeReportData);
    assert_accepted(&judge_vector(&quote[..quote.len() - 70], V4_COLLATERAL, V4_TIME));
    assert_refused(&judge_vector(&quote, V5_COLLATERAL, "2026-02-19T00:00:00Z"), CheckName::Fmspc);
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn today_all_of_it_has_expired() {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    for (quote, collateral) in [
        (V4, V4_COLLATERAL),
        ("quote-v5-uptodate.bin", V5_COLLATERAL),
        ("quote-v4-debug.bin", "50806f000000-2023-06"),
    ] {
        let judgement = judge_vector(&read(quote), collateral, &now);
        assert!(judgement.first_failure().unwrap().reason.contains("expired"), "{}", judgement.verdict());
    }
}

/// One byte of a genuine quote changed, and it is refused: every third, for reasons of time.
#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn genuine_quotes_cannot_be_changed() {
    let original = read(V4);
    for index in (0..original.len()).step_by(3) {
        let mut quote = original.clone();
        quote[index] ^= 1 << (index % 8);
        assert!(!judge_vector(&quote, V4_COLLATERAL, V4_TIME).is_accepted(), "byte {index}");
    }
}

/// dcap-qvl comes to the same on every quote with every bundle at every time at which something changes.
///
/// Both refuse what does not hold together; a debug domain is refused by it outright, and by us through the policy.
#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn another_verifier_comes_to_the_same() {
    let oracle = QuoteVerifier::new_prod();
    let quotes = [
        V4,
        "quote-v4-debug.bin",
        "quote-v4-gcp-cos113.bin",
        "quote-v5-uptodate.bin",
        "quote-v5-no-matching-tcb-level.bin",
    ];
    let times = [
        "2023-06-20T00:00:00Z",
        "2023-07-09T00:00:00Z",
        "2025-06-19T10:32:26Z",
        "2025-06-19T10:32:27Z",
        "2025-07-19T10:00:34Z",
        "2025-07-19T10:00:36Z",
        "2026-02-19T00:00:00Z",
        "2026-03-21T00:00:00Z",
    ];
    let mut accepted = 0;
    for quote in quotes.map(read) {
        for bundle in ["50806f000000-2023-06", V4_COLLATERAL, V5_COLLATERAL] {
            let collateral: QuoteCollateralV3 =
                serde_json::from_slice(&read(&format!("collateral-{bundle}.json"))).unwrap();
            for time in times {
                let verification = verify_vector(&quote, bundle, time);
                let judgement = judge(&verification, &Policy::default(), &Circumstances::default());
                let status = verification.tcb.filter(|_| judgement.is_accepted());
                let seconds = u64::try_from(at(time).unix_timestamp()).unwrap();
                let theirs = oracle.verify(&quote, &collateral, seconds).ok().map(|report| report.status);
                assert_eq!(status.map(|tcb| tcb.status.as_str().to_owned()), theirs, "{bundle} {time}");
                accepted += usize::from(theirs.is_some());
            }
        }
    }
    assert_eq!(accepted, 3);
}

/// There is no collateral for this platform here, so the verdict is a refusal; its log is checked all the same.
#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn a_genuine_event_log_explains_the_registers_and_a_nonce_is_refused() {
    let (quote, log) = (read("quote-v4-gcp-cos113.bin"), read("ccel-gcp-cos113.bin"));
    let nonce = attestation_evidence::report_data::plain(&[7; 32]).unwrap();
    let evidence =
        Evidence { quote: &quote, event_log: Some(&log), runtime_log: None, report_data: Some(&nonce) };
    let collateral = Collateral::from_json(&read(&format!("collateral-{V4_COLLATERAL}.json"))).unwrap();
    let verification = verify(&evidence, &collateral, &TrustRoot::intel(), at(V4_TIME));
    let outcome = |name| verification.checks.iter().find(|check| check.name == name).unwrap().outcome;
    for name in [CheckName::EventLog, CheckName::Rtmr0, CheckName::Rtmr1, CheckName::Rtmr2] {
        assert_eq!(outcome(name), Outcome::Pass);
    }
    for name in [CheckName::QuoteSignature, CheckName::QeReportData, CheckName::PckChain] {
        assert_eq!(outcome(name), Outcome::Pass);
    }
    assert_eq!(outcome(CheckName::ReportData), Outcome::Fail);
    assert_eq!(EventLog::parse(&log).unwrap().len(), 43);
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn event_logs_are_read_as_another_parser_reads_them() {
    for (name, events) in [("ccel-data-ovmf", 20), ("ccel-data-grub", 37)] {
        let bytes = read(&format!("{name}.bin"));
        let log = EventLog::parse(&bytes).unwrap();
        assert_eq!(log.len(), events);
        let expected: Value = serde_json::from_slice(&read(&format!("{name}-out.json"))).unwrap();
        let expected = expected["uefi_event_logs"].as_array().unwrap();
        assert_eq!(expected.len(), events);
        for (event, expected) in log.events().zip(expected) {
            assert_eq!(event.register, expected["index"]);
            assert_eq!(event_type_name(event.kind).unwrap(), expected["type_name"]);
            assert_eq!(event.is_bound(), expected["digest_matches_event"]);
            assert_eq!(hex::encode(event.digest), expected["digests"][0]["digest"]);
            assert_eq!(BASE64_STANDARD.encode(event.data), expected["event"]);
        }
    }
}

#[test]
#[cfg_attr(not(has_tdx_vectors), ignore = "no vectors: set TDX_VECTORS")]
fn an_event_log_of_another_algorithm_is_refused() {
    let bytes = read("ccel-data-csv.bin");
    let error = EventLog::parse(&bytes).unwrap_err().to_string();
    assert_eq!(error, "the log's digest algorithm is 0x12, expected 0xc (SHA-384)");
}
