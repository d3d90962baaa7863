use std::vec::Vec;

use super::{PageFlags, Share, VmSpace};
use crate::mm::host::tests::boot;
use crate::mm::{PAGE_SIZE, UFrame, USER_END};

const RW: PageFlags = PageFlags::READ.union(PageFlags::WRITE);
const BASE: usize = 0x4000_0000;

fn map_pages(space: &VmSpace, start: usize, count: usize) {
    let mut cursor = space.cursor(start..start + count * PAGE_SIZE).unwrap();
    for i in 0..count {
        let frame = UFrame::alloc_zeroed().unwrap();
        frame.write(0, &(start + i * PAGE_SIZE).to_le_bytes());
        cursor.map(frame, RW).unwrap();
    }
}

fn word_at(space: &VmSpace, address: usize) -> Option<usize> {
    let (frame, _) = space.cursor(address..address + PAGE_SIZE).unwrap().query()?;
    let mut bytes = [0; 8];
    frame.read(0, &mut bytes);
    Some(usize::from_le_bytes(bytes))
}

#[test]
fn mapped_pages_are_found_and_holes_skipped() {
    boot();
    let space = VmSpace::new().unwrap();
    let starts = [BASE, BASE + 511 * PAGE_SIZE, 0x7000_0000_0000, USER_END - PAGE_SIZE];
    starts.iter().for_each(|start| map_pages(&space, *start, 1));
    let mut cursor = space.cursor(PAGE_SIZE..USER_END).unwrap();
    let mut found = Vec::new();
    while let Some(at) = cursor.next_mapped() {
        found.push(at);
        cursor.jump(at + PAGE_SIZE).unwrap();
    }
    assert_eq!(found, starts);
    drop(cursor);
    assert_eq!(space.resident_pages(), 4);
    assert_eq!(word_at(&space, 0x7000_0000_0000), Some(0x7000_0000_0000));
    assert_eq!(word_at(&space, 0x7000_0000_1000), None);
}

#[test]
fn unmapping_releases_frames_and_tables() {
    boot();
    let space = VmSpace::new().unwrap();
    let frame = UFrame::alloc_zeroed().unwrap();
    let range = BASE - 5 * PAGE_SIZE..BASE + 600 * PAGE_SIZE;
    let mut cursor = space.cursor(range.clone()).unwrap();
    while cursor.address() < range.end {
        cursor.map(frame.clone(), RW).unwrap();
    }
    cursor.jump(range.start).unwrap();
    assert_eq!(cursor.unmap_to(range.start + 3 * PAGE_SIZE), 3);
    assert_eq!(cursor.unmap_to(range.end), 602);
    drop(cursor);
    assert_eq!((frame.share_count(), space.resident_pages()), (1, 0));
    let mut cursor = space.cursor(PAGE_SIZE..USER_END).unwrap();
    assert_eq!(cursor.next_mapped(), None);
    assert_eq!(cursor.unmap_to(USER_END), 0);
}

#[test]
fn dropping_a_space_releases_its_frames() {
    boot();
    let frame = UFrame::alloc_zeroed().unwrap();
    let space = VmSpace::new().unwrap();
    for start in [BASE, 0x7fff_0000_0000] {
        space.cursor(start..start + PAGE_SIZE).unwrap().map(frame.clone(), RW).unwrap();
    }
    assert_eq!(frame.share_count(), 3);
    drop(space);
    assert_eq!(frame.share_count(), 1);
}

#[test]
fn fork_shares_frames_and_takes_write_from_both() {
    boot();
    let (parent, child) = (VmSpace::new().unwrap(), VmSpace::new().unwrap());
    map_pages(&parent, BASE + LEAF - 3 * PAGE_SIZE, 6);
    let range = BASE..BASE + 2 * LEAF;
    let mut to = child.cursor(range.clone()).unwrap();
    parent.cursor(range.clone()).unwrap().share_to(range.end, &mut to, Share::CopyOnWrite).unwrap();
    drop(to);
    assert_eq!((parent.resident_pages(), child.resident_pages()), (6, 6));
    for page in 0..6 {
        let at = BASE + LEAF + page * PAGE_SIZE - 3 * PAGE_SIZE;
        let [(ours, our_flags), (theirs, their_flags)] =
            [&parent, &child].map(|space| space.cursor(at..at + PAGE_SIZE).unwrap().query().unwrap());
        assert_eq!((ours.paddr(), our_flags), (theirs.paddr(), their_flags));
        assert_eq!((ours.share_count(), our_flags), (4, PageFlags::READ));
    }
    drop(parent);
    assert_eq!(word_at(&child, BASE + LEAF), Some(BASE + LEAF));
}

#[test]
fn replacing_a_page_releases_the_old_frame() {
    boot();
    let space = VmSpace::new().unwrap();
    let (old, new) = (UFrame::alloc_zeroed().unwrap(), UFrame::alloc_zeroed().unwrap());
    let mut cursor = space.cursor(BASE..BASE + PAGE_SIZE).unwrap();
    cursor.map(old.clone(), RW).unwrap();
    assert!(cursor.map(old.clone(), RW).is_err(), "the cursor is at its end");
    cursor.jump(BASE).unwrap();
    cursor.map(new.clone(), RW).unwrap();
    drop(cursor);
    assert_eq!((old.share_count(), new.share_count(), space.resident_pages()), (1, 2, 1));
}

#[test]
fn pages_without_rights_stay_mapped() {
    boot();
    let space = VmSpace::new().unwrap();
    map_pages(&space, BASE, 3);
    let range = BASE..BASE + 3 * PAGE_SIZE;
    space.cursor(range.clone()).unwrap().protect_to(range.end, &mut |_| PageFlags::SOFT);
    let mut cursor = space.cursor(range.clone()).unwrap();
    assert_eq!(cursor.next_mapped(), Some(BASE));
    assert_eq!(cursor.query().map(|(_, flags)| flags), Some(PageFlags::SOFT));
    drop(cursor);
    assert_eq!(space.resident_pages(), 3);
}

#[test]
fn moving_keeps_pages_in_order() {
    boot();
    let space = VmSpace::new().unwrap();
    map_pages(&space, BASE, 2);
    map_pages(&space, BASE + 5 * PAGE_SIZE, 1);
    let target = BASE + 3 * LEAF + 7 * PAGE_SIZE;
    let mut cursor = space.cursor(BASE..BASE + 4 * LEAF).unwrap();
    assert!(cursor.move_to(BASE + 6 * PAGE_SIZE, BASE + PAGE_SIZE).is_err(), "overlap");
    cursor.move_to(BASE + 6 * PAGE_SIZE, target).unwrap();
    drop(cursor);
    assert_eq!(space.resident_pages(), 3);
    for (page, from) in
        [(0, Some(BASE)), (1, Some(BASE + PAGE_SIZE)), (2, None), (5, Some(BASE + 5 * PAGE_SIZE))]
    {
        assert_eq!(word_at(&space, target + page * PAGE_SIZE), from);
        assert_eq!(word_at(&space, BASE + page * PAGE_SIZE), None);
    }
}

#[test]
fn a_lone_page_moves_within_its_table_without_a_new_one() {
    boot();
    let space = VmSpace::new().unwrap();
    map_pages(&space, BASE, 1);
    let mut cursor = space.cursor(BASE..BASE + LEAF).unwrap();
    let table = cursor.table_at(BASE).unwrap();
    cursor.move_to(BASE + PAGE_SIZE, BASE + 7 * PAGE_SIZE).unwrap();
    assert_eq!(cursor.table_at(BASE + 7 * PAGE_SIZE), Some(table));
    // It is empty when its only page goes, and goes with it.
    cursor.jump(BASE).unwrap();
    assert_eq!(cursor.unmap_to(BASE + LEAF), 1);
    assert_eq!(cursor.table_at(BASE), None);
    drop(cursor);
    assert_eq!(space.resident_pages(), 0);
}

#[test]
fn ranges_outside_of_user_space_are_refused() {
    boot();
    let space = VmSpace::new().unwrap();
    let backwards = core::ops::Range { start: 0x3000, end: 0x2000 };
    for range in [0..PAGE_SIZE, PAGE_SIZE..USER_END + PAGE_SIZE, 0x1001..0x3000, backwards] {
        assert!(space.cursor(range).is_err());
    }
}

const LEAF: usize = 1 << 21;
