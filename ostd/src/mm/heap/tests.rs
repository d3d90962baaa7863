use core::alloc::{GlobalAlloc, Layout};
use std::thread;
use std::vec::Vec;

use super::Heap;
use crate::mm::host::tests::boot;

fn layouts() -> impl Iterator<Item = Layout> {
    let sizes = [1, 8, 16, 17, 40, 64, 100, 250, 256, 500, 1000, 2048, 2049, 5000, 20_000];
    sizes
        .into_iter()
        .flat_map(|size| [1, 8, 64, 512, 4096].map(|align| Layout::from_size_align(size, align).unwrap()))
}

struct Object(*mut u8, Layout);

// SAFETY: the memory is the holder's.
unsafe impl Send for Object {}

impl Object {
    fn new(layout: Layout, fill: u8) -> Self {
        // SAFETY: the layouts are not empty.
        let object = unsafe { Heap.alloc(layout) };
        assert!(!object.is_null() && object.addr().is_multiple_of(layout.align()));
        // SAFETY: the allocation has that many bytes.
        unsafe { object.write_bytes(fill, layout.size()) };
        Self(object, layout)
    }

    fn check_and_free(self, fill: u8) {
        // SAFETY: all bytes were written by `new`.
        let bytes = unsafe { core::slice::from_raw_parts(self.0, self.1.size()) };
        assert!(bytes == std::vec![fill; bytes.len()]);
        // SAFETY: it was allocated with this layout.
        unsafe { Heap.dealloc(self.0, self.1) };
    }
}

#[test]
fn objects_do_not_overlap_and_are_aligned() {
    boot();
    let copies = if cfg!(miri) { 2 } else { 40 };
    let objects: Vec<Object> = (0..copies).flat_map(|i| layouts().map(move |l| Object::new(l, i))).collect();
    let per_copy = layouts().count();
    for (i, object) in objects.into_iter().enumerate() {
        object.check_and_free((i / per_copy) as u8);
    }
}

#[test]
fn objects_may_be_freed_on_another_cpu() {
    boot();
    let (count, rounds) = if cfg!(miri) { (100, 2) } else { (1000, 20) };
    let layout = Layout::from_size_align(48, 8).unwrap();
    for _ in 0..rounds {
        let objects: Vec<Object> = (0..count).map(|_| Object::new(layout, 5)).collect();
        let there = thread::spawn(move || objects.into_iter().for_each(|o| o.check_and_free(5)));
        let here: Vec<Object> = (0..count).map(|_| Object::new(layout, 6)).collect();
        here.into_iter().for_each(|o| o.check_and_free(6));
        there.join().unwrap();
    }
}

#[test]
fn growing_keeps_the_bytes() {
    boot();
    let Object(mut object, mut layout) = Object::new(Layout::from_size_align(10, 8).unwrap(), 9);
    for size in [16, 17, 100, 3000, 4000, 9000, 200] {
        // SAFETY: the object has this layout, and the new size is not zero.
        object = unsafe { Heap.realloc(object, layout, size) };
        layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: at least ten bytes were kept.
        let bytes = unsafe { core::slice::from_raw_parts(object, 10) };
        assert_eq!(bytes, [9; 10]);
    }
    // SAFETY: it has this layout.
    unsafe { Heap.dealloc(object, layout) };
}
