//! The runtime log: what was written is read, and nothing else is.
#![expect(clippy::tests_outside_test_module, reason = "all of this is tests")]
#![forbid(unsafe_code)]

use attestation_evidence::{ContainerStart, ImageDigest, Isolation, Mode, RuntimeEvent, RuntimeLog, extend};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

const HEADER: &[u8] = b"coffer-runtime/1";

fn encode(events: &[RuntimeEvent]) -> Vec<u8> {
    let mut log = HEADER.to_vec();
    for (sequence, event) in (0..).zip(events) {
        log.extend_from_slice(event.record(sequence).as_bytes());
    }
    log
}

fn boot(mode: Mode) -> Vec<RuntimeEvent> {
    let owner = match mode {
        Mode::Open => RuntimeEvent::ClientAuthority([3; 48]),
        Mode::Sealed => RuntimeEvent::Workload([4; 48]),
    };
    vec![
        RuntimeEvent::Configuration([1; 48]),
        RuntimeEvent::Mode(mode),
        owner,
        RuntimeEvent::TlsKey([5; 48]),
        RuntimeEvent::BootEnd,
    ]
}

fn start(image: ImageDigest) -> RuntimeEvent {
    // Of both kinds.
    let (manifest, isolation) = match image {
        ImageDigest::Sha256(_) => (None, Isolation::Confined),
        ImageDigest::Sha512(_) => (Some(ImageDigest::Sha256([1; 32])), Isolation::Exposed),
    };
    RuntimeEvent::ContainerStart(ContainerStart {
        container: [6; 32],
        image,
        manifest,
        isolation,
        configuration: [7; 48],
    })
}

fn sample() -> Vec<RuntimeEvent> {
    let mut events = boot(Mode::Open);
    events.push(start(ImageDigest::Sha256([8; 32])));
    events.push(start(ImageDigest::Sha512([9; 64])));
    events.push(RuntimeEvent::Exec { container: [6; 32], process: [10; 48] });
    events.push(RuntimeEvent::ContentsChange { container: [6; 32], path: [11; 48] });
    events
}

#[test]
fn what_was_written_is_read() {
    let events = sample();
    let bytes = encode(&events);
    let log = RuntimeLog::parse(&bytes).unwrap();
    assert!(log.is_booted());
    assert_eq!(log.len(), 9);
    assert!(log.records().map(|(event, _)| event).eq(events.iter().copied()));
    let register = (0..)
        .zip(&events)
        .fold([0; 48], |register, (sequence, event)| extend(&register, &event.record(sequence).digest()));
    assert_eq!(log.replay(), register);
}

#[test]
fn the_first_record_has_the_documented_bytes() {
    let record = RuntimeEvent::Mode(Mode::Sealed).record(1);
    assert_eq!(record.as_bytes(), [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 2]);
}

#[test]
fn a_machine_that_still_boots_has_part_of_a_log() {
    let events = boot(Mode::Sealed);
    for length in 0..events.len() {
        let bytes = encode(&events[..length]);
        assert!(!RuntimeLog::parse(&bytes).unwrap().is_booted());
    }
    assert!(RuntimeLog::parse(&encode(&events)).unwrap().is_booted());
}

#[test]
fn records_out_of_order_are_refused() {
    let mut swapped = boot(Mode::Open);
    swapped.swap(0, 1);
    let mut late = boot(Mode::Open);
    late.push(RuntimeEvent::TlsKey([0; 48]));
    let mut early = boot(Mode::Open);
    early.insert(4, start(ImageDigest::Sha256([0; 32])));
    let mut wrong_owner = boot(Mode::Sealed);
    wrong_owner[2] = RuntimeEvent::ClientAuthority([0; 48]);
    for events in [swapped, late, early, wrong_owner] {
        assert!(RuntimeLog::parse(&encode(&events)).is_err(), "{events:?}");
    }
}

/// One flipped bit anywhere is refused, or comes to another register.
#[test]
fn every_bit_is_bound() {
    let bytes = encode(&sample());
    let register = RuntimeLog::parse(&bytes).unwrap().replay();
    for bit in 0..bytes.len() * 8 {
        let mut mutated = bytes.clone();
        mutated[bit / 8] ^= 1 << (bit % 8);
        if let Ok(log) = RuntimeLog::parse(&mutated) {
            assert_ne!(log.replay(), register, "bit {bit}");
        }
    }
}

#[test]
fn removed_repeated_and_moved_records_are_refused() {
    let events = sample();
    let records: Vec<Vec<u8>> =
        (0..).zip(&events).map(|(sequence, event)| event.record(sequence).as_bytes().to_vec()).collect();
    let log = |records: &[Vec<u8>]| [HEADER.to_vec(), records.concat()].concat();
    assert!(RuntimeLog::parse(&log(&records)).is_ok());
    for index in 0..records.len() - 1 {
        let mut removed = records.clone();
        removed.remove(index);
        let mut repeated = records.clone();
        repeated.insert(index, records[index].clone());
        let mut moved = records.clone();
        moved.swap(index, index + 1);
        for records in [removed, repeated, moved] {
            assert!(RuntimeLog::parse(&log(&records)).is_err());
        }
    }
}

fn any_digest() -> impl Strategy<Value = [u8; 48]> {
    any::<u8>().prop_map(|byte| [byte; 48])
}

proptest! {
    #[test]
    fn any_event_survives_its_encoding(event in prop_oneof![
        any_digest().prop_map(RuntimeEvent::Configuration),
        any_digest().prop_map(RuntimeEvent::TlsKey),
        Just(RuntimeEvent::BootEnd),
        (any::<[u8; 32]>(), any_digest()).prop_map(|(container, process)| RuntimeEvent::Exec { container, process }),
        (any::<[u8; 32]>(), any_digest()).prop_map(|(container, path)| RuntimeEvent::ContentsChange { container, path }),
    ], sequence in any::<u64>()) {
        let record = event.record(sequence);
        assert_eq!(record.as_bytes()[..8], sequence.to_le_bytes());
        assert_eq!(record.as_bytes().len(), 14 + u32::from_le_bytes(record.as_bytes()[10..14].try_into().unwrap()) as usize);
    }

    #[test]
    fn no_bytes_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = RuntimeLog::parse(&tail);
        let _ = RuntimeLog::parse(&[HEADER, &tail].concat());
    }
}
