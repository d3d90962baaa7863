//! What reads foreign bytes in `attestation/`, as targets for a fuzzer: each takes any bytes and must neither panic nor take long.
//!
//! `cargo xtask fuzz` runs them under libFuzzer (`main.rs`). What that has found worth keeping is in `corpus/`, a folder for each target, and
//! every run of the tests gives it to the targets again (`tests/corpus.rs`).
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use attestation_evidence::{EventLog, Quote, RuntimeEvent, RuntimeLog, TdReport};
use attestation_policy::Policy;
use attestation_test_pki::{BodyKind, EventLogWriter, Pki, PlatformFields, SHA384, Statement, TdFields};
use attestation_verify::{
    Collateral, Evidence, OffsetDateTime, Subject, TrustRoot, subject_public_key_info, verify,
};

/// Something that reads bytes.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its folder of inputs.
    pub name: &'static str,
    /// Reads.
    pub run: fn(&[u8]),
    /// Inputs to begin with, made for the occasion.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "quote", run: quote, seeds: quotes },
    Target { name: "td-report", run: td_report, seeds: || vec![vec![0; 1024]] },
    Target { name: "event-log", run: event_log, seeds: || vec![sample_event_log()] },
    Target { name: "runtime-log", run: runtime_log, seeds: || vec![sample_runtime_log()] },
    Target { name: "collateral", run: collateral, seeds: || vec![SCENE.bundle.clone()] },
    Target { name: "certificate", run: certificate, seeds: || vec![SCENE.root_pem.clone()] },
    Target { name: "policy", run: policy, seeds: || vec![b"[tcb]\nevaluation-data-number = 17\n".to_vec()] },
    Target { name: "verification", run: verification, seeds: quotes },
];

/// A platform of a PKI of its own, and what there is to know of it.
struct Scene {
    at: OffsetDateTime,
    root_pem: Vec<u8>,
    root: TrustRoot,
    quotes: Vec<Vec<u8>>,
    bundle: Vec<u8>,
    collateral: Collateral,
}

static SCENE: LazyLock<Scene> =
    LazyLock::new(|| Scene::new().expect("a test PKI certifies whatever it is asked to"));

impl Scene {
    fn new() -> Option<Self> {
        let at = OffsetDateTime::from_unix_timestamp(1_790_000_000).ok()?;
        let pki = Pki::new(at).ok()?;
        let platform = pki.platform(&PlatformFields::default()).ok()?;
        let quote = |kind| Some(platform.quote(kind, &TdFields::default()).ok()?.to_bytes());
        let bundle = pki.bundle(&Statement::new(at)).ok()?.to_json().into_bytes();
        Some(Self {
            at,
            root_pem: pki.root_pem().as_bytes().to_vec(),
            root: TrustRoot::from_pem(pki.root_pem().as_bytes()).ok()?,
            quotes: BodyKind::ALL.into_iter().map(quote).collect::<Option<_>>()?,
            collateral: Collateral::from_json(&bundle).ok()?,
            bundle,
        })
    }
}

fn quotes() -> Vec<Vec<u8>> {
    SCENE.quotes.clone()
}

fn quote(bytes: &[u8]) {
    if let Ok(quote) = Quote::parse(bytes) {
        let _ = quote.body.registers();
    }
    let _ = Subject::of_quote(bytes);
}

fn td_report(bytes: &[u8]) {
    let _ = TdReport::parse(bytes);
}

fn event_log(bytes: &[u8]) {
    if let Ok(log) = EventLog::parse(bytes) {
        let _ = log.replay();
    }
}

fn runtime_log(bytes: &[u8]) {
    if let Ok(log) = RuntimeLog::parse(bytes) {
        let _ = log.replay();
    }
}

fn collateral(bytes: &[u8]) {
    if let Ok(collateral) = Collateral::from_json(bytes) {
        let _ = collateral.next_update();
        let quote = SCENE.quotes.first().map(Vec::as_slice).unwrap_or_default();
        let evidence = Evidence { quote, event_log: None, runtime_log: None, report_data: None };
        drop(verify(&evidence, &collateral, &SCENE.root, SCENE.at));
    }
}

fn certificate(bytes: &[u8]) {
    let _ = TrustRoot::from_pem(bytes);
    let _ = subject_public_key_info(bytes);
}

fn policy(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = Policy::from_toml(text);
    }
}

/// A quote and, behind it, logs: half of what follows the length of a quote is each log's.
fn verification(bytes: &[u8]) {
    let length = SCENE.quotes.first().map_or(0, Vec::len).min(bytes.len());
    let (quote, logs) = bytes.split_at(length);
    let (event_log, runtime_log) = logs.split_at(logs.len() / 2);
    for logs in [None, Some((event_log, runtime_log))] {
        let evidence = Evidence {
            quote: if logs.is_some() { quote } else { bytes },
            event_log: logs.map(|(log, _)| log),
            runtime_log: logs.map(|(_, log)| log),
            report_data: None,
        };
        drop(verify(&evidence, &SCENE.collateral, &SCENE.root, SCENE.at));
    }
}

fn sample_runtime_log() -> Vec<u8> {
    let mut log = b"coffer-runtime/1".to_vec();
    log.extend_from_slice(RuntimeEvent::Configuration([1; 48]).record(0).as_bytes());
    log
}

/// A header, and an event for each register.
fn sample_event_log() -> Vec<u8> {
    let event =
        |log: EventLogWriter, register: u8| log.event(register.into(), 6, &[register; 48], &[1, 2, 3, 4]);
    (1..4).fold(EventLogWriter::new(0, &[SHA384]), event).finish()
}

#[cfg(test)]
mod tests {
    use super::{EventLog, Quote, RuntimeLog, SCENE, TARGETS, sample_event_log, sample_runtime_log};

    #[test]
    fn seeds_are_what_the_targets_are_about() {
        assert_eq!(EventLog::parse(&sample_event_log()).unwrap().len(), 3);
        RuntimeLog::parse(&sample_runtime_log()).unwrap();
        assert!(SCENE.quotes.iter().all(|quote| Quote::parse(quote).is_ok()));
        for target in &TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty());
            seeds.iter().for_each(|seed| (target.run)(seed));
        }
    }
}
