use alloc::format;
use alloc::string::String;

use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{IdMap, Invalid, RANGES_MAX, Range};

fn map(text: &str) -> IdMap {
    IdMap::parse(text.as_bytes()).unwrap()
}

#[test]
fn lines_become_ranges() {
    let parsed = map("0 1000 1\n 1\t 100000  65536\n");
    let expected =
        [Range { inside: 0, outside: 1000, count: 1 }, Range { inside: 1, outside: 100_000, count: 65536 }];
    assert_eq!(parsed.ranges(), expected);
    assert_eq!(map("0 0 4294967295").ranges(), IdMap::identity().ranges());
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "",
        "\n",
        "0",
        "0 0",
        "0 0 0",
        "a 0 1",
        "0 0 1 1",
        "-1 0 1",
        "4294967295 0 1",
        "0 4294967295 1",
        "4294967290 0 10",
        "0 0 4294967296",
        "0 0 1\n\n1 1 1",
        "0 0 2\n1 5 1",
        "0 5 2\n2 6 1",
        "\u{fffd} 0 1",
    ] {
        assert_eq!(IdMap::parse(text.as_bytes()), Err(Invalid), "{text:?}");
    }
    assert_eq!(IdMap::parse(b"\xff 0 1"), Err(Invalid));
}

#[test]
fn there_is_a_limit_of_lines() {
    let lines = |count: usize| -> String { (0..count).map(|id| format!("{id} {id} 1\n")).collect() };
    assert!(IdMap::parse(lines(RANGES_MAX).as_bytes()).is_ok());
    assert_eq!(IdMap::parse(lines(RANGES_MAX + 1).as_bytes()), Err(Invalid));
}

#[test]
fn ids_go_both_ways() {
    let map = map("0 1000 1\n1 100000 65536");
    assert_eq!(map.to_outside(0), Some(1000));
    assert_eq!(map.to_outside(65536), Some(165_535));
    assert_eq!(map.to_outside(65537), None);
    assert_eq!(map.to_inside(1000), Some(0));
    assert_eq!(map.to_inside(999), None);
    assert_eq!(map.to_inside(u32::MAX), None);
    assert_eq!(IdMap::identity().to_outside(u32::MAX), None);
}

#[test]
fn a_range_has_to_lie_in_one_of_the_parents() {
    let parent = map("0 1000 10\n10 5000 10");
    assert_eq!(map("0 3 5").through(&parent), Some(map("0 1003 5")));
    assert_eq!(map("0 12 2").through(&parent), Some(map("0 5002 2")));
    assert_eq!(map("0 5 10").through(&parent), None);
    assert_eq!(map("0 20 1").through(&parent), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = IdMap::parse(&bytes);
    }

    #[test]
    fn what_goes_out_comes_back(
        inside in any::<u32>(), outside in any::<u32>(), count in any::<u32>(), id in any::<u32>(),
    ) {
        if let Ok(map) = IdMap::parse(format!("{inside} {outside} {count}").as_bytes()) {
            if let Some(out) = map.to_outside(id) {
                prop_assert_eq!(map.to_inside(out), Some(id));
            }
            if let Some(inner) = map.to_inside(id) {
                prop_assert!(inner >= inside);
                prop_assert_eq!(map.to_outside(inner), Some(id));
            }
        }
    }
}
