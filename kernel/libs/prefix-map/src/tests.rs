use super::{PrefixMap, network};
use proptest::prelude::*;
use std::vec::Vec;

extern crate std;

fn address(octets: [u8; 4]) -> u32 {
    u32::from_be_bytes(octets)
}

#[test]
fn the_longest_prefix_comes_first() {
    let mut map = PrefixMap::new();
    map.insert(0, 0, 0, "default");
    map.insert(address([10, 0, 0, 0]), 8, 0, "ten");
    map.insert(address([10, 1, 0, 0]), 16, 0, "ten-one");
    map.insert(address([10, 1, 2, 3]), 32, 0, "host");
    let found = |octets| map.matches(address(octets)).map(|(_, value)| *value).collect::<Vec<_>>();
    assert_eq!(found([10, 1, 2, 3]), ["host", "ten-one", "ten", "default"]);
    assert_eq!(found([10, 1, 2, 4]), ["ten-one", "ten", "default"]);
    assert_eq!(found([192, 0, 2, 1]), ["default"]);
}

#[test]
fn equal_prefixes_go_by_rank_then_by_age() {
    let mut map = PrefixMap::new();
    for (rank, value) in [(5, 'c'), (0, 'a'), (5, 'd'), (1, 'b')] {
        map.insert(0, 0, rank, value);
    }
    assert_eq!(map.matches(7).map(|(_, value)| *value).collect::<Vec<_>>(), ['a', 'b', 'c', 'd']);
}

#[test]
fn what_is_extracted_is_gone() {
    let mut map = PrefixMap::new();
    map.insert(0, 0, 0, 1);
    map.insert(address([10, 0, 0, 0]), 8, 0, 2);
    assert_eq!(map.extract(|_, len, _| len == 8), [2]);
    assert_eq!((map.len(), map.matches(address([10, 0, 0, 1])).count()), (1, 1));
    assert_eq!(map.extract(|_, _, _| true), [1]);
    assert!(map.is_empty() && map.matches(0).next().is_none());
}

proptest! {
    #[test]
    fn a_look_up_agrees_with_a_scan(
        prefixes in proptest::collection::vec((any::<u32>(), 0u8..=32, 0u32..4), 0..40),
        wanted in any::<u32>(),
    ) {
        let mut map = PrefixMap::new();
        for (index, (address, len, rank)) in prefixes.iter().enumerate() {
            map.insert(*address, *len, *rank, index);
        }
        let mut expected: Vec<_> = prefixes
            .iter()
            .enumerate()
            .filter(|(_, (address, len, _))| network(*address, *len) == network(wanted, *len))
            .map(|(index, (_, len, rank))| (core::cmp::Reverse(*len), *rank, index))
            .collect();
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|(_, _, index)| index).collect();
        prop_assert_eq!(map.matches(wanted).map(|(_, index)| *index).collect::<Vec<_>>(), expected);
        prop_assert_eq!(map.iter().count(), map.len());
    }
}
