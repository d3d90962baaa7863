//! The map against a model that is one array slot per unit.

use super::{Interval, IntervalMap};
use alloc::vec::Vec;
use core::ops::Range;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

const SPACE: usize = 64;

/// A colour and the unit of it that the entry begins with, as an area has a file and an offset in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Paint {
    colour: u8,
    offset: usize,
}

impl Interval for Paint {
    fn split_off(&mut self, offset: usize) -> Self {
        Self { colour: self.colour, offset: self.offset + offset }
    }

    fn continues_in(&self, len: usize, next: &Self) -> bool {
        self.colour == next.colour && self.offset + len == next.offset
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Range<usize>, u8),
    Cut(Range<usize>),
    Recolour(Range<usize>, u8),
}

fn ranges() -> impl Strategy<Value = Range<usize>> {
    (0..SPACE - 1, 1..SPACE / 2).prop_map(|(start, len)| start..(start + len).min(SPACE))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (ranges(), 0..3u8).prop_map(|(r, c)| Step::Put(r, c)),
        ranges().prop_map(Step::Cut),
        (ranges(), 0..3u8).prop_map(|(r, c)| Step::Recolour(r, c)),
    ];
    vec(step, 0..40)
}

type Model = [Option<(u8, usize)>; SPACE];

fn apply(map: &mut IntervalMap<Paint>, model: &mut Model, step: &Step) {
    match step {
        Step::Put(range, colour) => {
            map.cut(range.clone()).unwrap();
            // Offsets are absolute, so that same-coloured neighbours can always be merged.
            map.insert(range.clone(), Paint { colour: *colour, offset: range.start });
            map.merge(range.clone());
            range.clone().for_each(|i| model[i] = Some((*colour, i)));
        }
        Step::Cut(range) => {
            let out = map.cut(range.clone()).unwrap();
            let units: usize = out.iter().map(|(r, _)| r.len()).sum();
            assert_eq!(units, range.clone().filter(|&i| model[i].is_some()).count());
            range.clone().for_each(|i| model[i] = None);
        }
        Step::Recolour(range, colour) => {
            map.isolate(range.clone());
            map.inside_mut(range.clone()).for_each(|(r, v)| {
                assert!(range.start <= r.start && r.end <= range.end);
                v.colour = *colour;
            });
            map.merge(range.clone());
            range.clone().for_each(|i| model[i] = model[i].map(|(_, o)| (*colour, o)));
        }
    }
}

/// Of a few lengths, so that one search profits from another, mostly from the same top.
fn searches() -> impl Strategy<Value = Vec<(usize, usize, Range<usize>)>> {
    let within = prop_oneof![3 => Just(0..SPACE), 1 => ranges()];
    vec((1..6usize, prop_oneof![Just(1usize), Just(4)], within), 1..8)
}

proptest! {
    #[test]
    fn agrees_with_one_slot_per_unit(steps in steps(), probe in ranges(), len in 1..SPACE, align in prop_oneof![Just(1usize), Just(4), Just(16)], searches in searches()) {
        let mut map = IntervalMap::new();
        let mut model: Model = [None; SPACE];
        let highest = |model: &Model, len: usize, align: usize, probe: &Range<usize>| {
            let fits = |s: &usize| {
                s.is_multiple_of(align) && s + len <= probe.end && model[*s..s + len].iter().all(Option::is_none)
            };
            probe.clone().rev().find(fits)
        };
        for (step, (len, align, probe)) in steps.iter().zip(searches.iter().cycle()) {
            apply(&mut map, &mut model, step);
            prop_assert_eq!(map.gap_from_top(probe.clone(), *len, *align), highest(&model, *len, *align, probe));
        }
        for (i, slot) in model.iter().enumerate() {
            let found = map.get(i).map(|(r, v)| (v.colour, v.offset + i - r.start));
            assert_eq!(&found, slot);
        }
        assert_eq!(map.is_free(probe.clone()), model[probe.clone()].iter().all(Option::is_none));
        assert_eq!(map.covers(probe.clone()), model[probe.clone()].iter().all(Option::is_some));
        let entries: Vec<_> = map.iter().map(|(r, v)| (r, v.clone())).collect();
        for pair in entries.windows(2) {
            assert!(pair[0].0.end <= pair[1].0.start);
            assert!(pair[0].0.end < pair[1].0.start || !pair[0].1.continues_in(pair[0].0.len(), &pair[1].1));
        }
        let fits = |s: &usize| (*s).is_multiple_of(align) && s + len <= probe.end && model[*s..s + len].iter().all(Option::is_none);
        assert_eq!(map.gap_from_top(probe.clone(), len, align), probe.clone().rev().find(fits));
        assert_eq!(map.gap_from_bottom(probe.clone(), len, align), probe.clone().find(fits));
    }
}

#[test]
fn entries_grow_down_into_free_room_only() {
    let mut map = IntervalMap::new();
    map.insert(10..20, Paint { colour: 0, offset: 0 });
    map.insert(2..4, Paint { colour: 1, offset: 0 });
    map.extend_down(10, 3);
    assert_eq!(map.get(10).map(|(r, _)| r), Some(10..20));
    map.extend_down(10, 4);
    assert_eq!(map.get(4).map(|(r, _)| r), Some(4..20));
}
