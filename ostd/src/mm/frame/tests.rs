use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

use super::super::PAGE_SIZE;
use super::super::host::tests::boot;
use super::{Segment, UFrame, set_accountant};

#[test]
fn a_frame_is_zeroed_even_after_use() {
    boot();
    let frames: Vec<UFrame> = (0..100).map(|_| UFrame::alloc_zeroed().unwrap()).collect();
    frames.iter().for_each(|f| f.write(0, &[0xaa; PAGE_SIZE]));
    drop(frames);
    for _ in 0..100 {
        let mut bytes = [1; PAGE_SIZE];
        UFrame::alloc_zeroed().unwrap().read(0, &mut bytes);
        assert!(bytes.iter().all(|b| *b == 0));
    }
}

#[test]
fn handles_are_counted() {
    boot();
    let frame = UFrame::alloc_zeroed().unwrap();
    let other = frame.clone();
    assert_eq!((frame.share_count(), other.paddr()), (2, frame.paddr()));
    drop(frame);
    assert_eq!(other.share_count(), 1);
}

#[test]
fn the_accountant_hears_of_the_last_handle() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    boot();
    set_accountant(|payer| _ = HEARD.fetch_add(payer.into(), Ordering::Relaxed));
    let frame = UFrame::alloc_zeroed().unwrap();
    assert_eq!(frame.payer(), 0);
    frame.set_payer(7);
    let other = frame.clone();
    drop(frame);
    assert_eq!((HEARD.load(Ordering::Relaxed), other.payer()), (0, 7));
    drop(other);
    assert_eq!(HEARD.load(Ordering::Relaxed), 7);
    // Whoever has them next does not pay for them yet.
    let frames: Vec<UFrame> = (0..100).map(|_| UFrame::alloc_dirty().unwrap()).collect();
    assert!(frames.iter().all(|frame| frame.payer() == 0));
}

#[test]
fn frames_freed_on_other_cpus_come_back() {
    boot();
    let rounds = if cfg!(miri) { 3 } else { 200 };
    for _ in 0..rounds {
        let frames: Vec<UFrame> = (0..150).map(|_| UFrame::alloc_dirty().unwrap()).collect();
        let mut addresses: Vec<usize> = frames.iter().map(UFrame::paddr).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 150);
        let shared = frames.clone();
        let there = thread::spawn(move || drop(shared));
        drop(frames);
        there.join().unwrap();
    }
}

#[test]
fn segments_are_contiguous_zeroed_and_reusable() {
    boot();
    for frames in [1, 3, 16, 100] {
        let segment = Segment::alloc_zeroed(frames).unwrap();
        assert_eq!(segment.len(), frames * PAGE_SIZE);
        let mut last = [1; 16];
        segment.read(segment.len() - 16, &mut last);
        assert_eq!(last, [0; 16]);
        segment.write(0, &[7; 64]);
    }
    assert!(Segment::alloc_zeroed(0).is_err());
    assert!(Segment::alloc_zeroed(1 << 30).is_err());
}

#[test]
#[should_panic(expected = "range exceeds the frame")]
fn access_beyond_a_frame_panics() {
    boot();
    UFrame::alloc_zeroed().unwrap().write(PAGE_SIZE - 1, &[0; 2]);
}
