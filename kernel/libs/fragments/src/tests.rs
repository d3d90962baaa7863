extern crate std;

use super::{Assembler, Fragment, Key, Outcome};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const KEY: Key = Key { source: 1, destination: 2, ident: 3, protocol: 17 };
const HEADER: [u8; 20] = [0x45; 20];

fn fragment(payload: &[u8], offset: usize, has_more: bool) -> Fragment<'_> {
    Fragment { header: &HEADER, payload, offset, has_more }
}

fn whole(payload: &[u8]) -> Outcome {
    Outcome::Complete([HEADER.as_slice(), payload].concat())
}

#[test]
fn fragments_join_in_any_order() {
    let payload: Vec<u8> = (0..40).collect();
    let mut assembler = Assembler::new(1 << 20, 30);
    assert_eq!(assembler.add(KEY, &fragment(&payload[32..], 32, false), 0, 0), Outcome::Waiting);
    assert_eq!(assembler.add(KEY, &fragment(&payload[..16], 0, true), 0, 0), Outcome::Waiting);
    assert_eq!(assembler.add(KEY, &fragment(&payload[..16], 0, true), 0, 0), Outcome::Waiting);
    assert_eq!(assembler.add(KEY, &fragment(&payload[16..32], 16, true), 0, 0), whole(&payload));
    assert_eq!((assembler.len(), assembler.cost()), (0, 0));
}

#[test]
fn overlaps_end_the_datagram() {
    let mut assembler = Assembler::new(1 << 20, 30);
    assert_eq!(assembler.add(KEY, &fragment(&[1; 16], 0, true), 0, 0), Outcome::Waiting);
    assert_eq!(assembler.add(KEY, &fragment(&[2; 16], 8, true), 0, 0), Outcome::Dropped);
    assert!(assembler.is_empty());
    assert_eq!(assembler.add(KEY, &fragment(&[1; 8], 16, false), 0, 0), Outcome::Waiting);
    // Beyond the end.
    assert_eq!(assembler.add(KEY, &fragment(&[1; 8], 24, true), 0, 0), Outcome::Dropped);
    assert!(assembler.is_empty());
}

#[test]
fn what_cannot_be_a_fragment_is_dropped() {
    let mut assembler = Assembler::new(1 << 20, 30);
    assert_eq!(assembler.add(KEY, &fragment(&[1; 7], 0, true), 0, 0), Outcome::Dropped);
    assert_eq!(assembler.add(KEY, &fragment(&[], 8, true), 0, 0), Outcome::Dropped);
    assert_eq!(assembler.add(KEY, &fragment(&[1; 64], 65528, false), 0, 0), Outcome::Dropped);
    assert!(assembler.is_empty());
}

#[test]
fn memory_is_bounded_and_the_oldest_goes() {
    let mut assembler = Assembler::new(4096, 30);
    for ident in 0..100 {
        let key = Key { ident, ..KEY };
        assert_eq!(assembler.add(key, &fragment(&[0; 800], 0, true), 0, ident.into()), Outcome::Waiting);
        assert!(assembler.cost() <= 4096);
    }
    let newest = Key { ident: 99, ..KEY };
    let rest = assembler.add(newest, &fragment(&[0; 8], 800, false), 0, 100);
    assert_eq!(rest, whole(&[0; 808]));
    let oldest = assembler.add(KEY, &fragment(&[0; 8], 800, false), 0, 100);
    assert_eq!(oldest, Outcome::Waiting);
}

#[test]
fn time_is_bounded_and_the_sender_is_told() {
    let mut assembler = Assembler::new(1 << 20, 30);
    assembler.add(KEY, &fragment(&[7; 16], 0, true), 0, 0);
    assembler.add(Key { ident: 9, ..KEY }, &fragment(&[7; 16], 16, true), 0, 0);
    assert!(assembler.expire(29).is_empty());
    assert_eq!(assembler.expire(30), [[HEADER.as_slice(), &[7; 8]].concat()]);
    assert!(assembler.is_empty() && assembler.cost() == 0);
}

proptest! {
    #[test]
    fn cut_anywhere_and_shuffled_it_is_whole_again(
        payload in proptest::collection::vec(any::<u8>(), 9..4000),
        cuts in proptest::collection::vec(1usize..400, 1..12),
        seed in any::<u64>(),
        headroom in 0usize..64,
    ) {
        let mut bounds = vec![0, payload.len()];
        bounds.extend(cuts.iter().map(|cut| cut * 8).filter(|cut| *cut < payload.len()));
        bounds.sort_unstable();
        bounds.dedup();
        let mut pieces: Vec<_> = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pieces.sort_by_key(|(start, _)| (*start as u64 + 1).wrapping_mul(seed | 1));
        let mut assembler = Assembler::new(1 << 20, 30);
        let mut last = Outcome::Waiting;
        for (start, end) in &pieces {
            prop_assert_eq!(&last, &Outcome::Waiting);
            let part = fragment(&payload[*start..*end], *start, *end < payload.len());
            last = assembler.add(KEY, &part, headroom, 0);
        }
        let expected = [vec![0; headroom].as_slice(), &HEADER, &payload].concat();
        prop_assert_eq!(last, Outcome::Complete(expected));
        prop_assert_eq!(assembler.cost(), 0);
    }

    #[test]
    fn nonsense_neither_panics_nor_leaks(
        fragments in proptest::collection::vec(
            (0u16..3, proptest::collection::vec(any::<u8>(), 0..200), 0usize..8192, any::<bool>()),
            0..200,
        ),
    ) {
        let mut assembler = Assembler::new(8192, 30);
        for (ident, payload, offset, has_more) in &fragments {
            assembler.add(Key { ident: *ident, ..KEY }, &fragment(payload, offset * 8, *has_more), 0, 0);
            prop_assert!(assembler.cost() <= 8192);
        }
        assembler.expire(30);
        prop_assert_eq!((assembler.len(), assembler.cost()), (0, 0));
    }
}
