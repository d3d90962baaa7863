//! Frames and the heap from several CPUs at a time, and user memory without an address space.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ostd::mm::dma::{Direction, DmaCoherent, DmaStream};
use ostd::mm::{self, PAGE_SIZE, Segment, UFrame, VmReader, VmSpace, VmWriter, user_io};
use ostd::sync::SpinLock;
use ostd::{Error, task};

use crate::crew::{Crew, Dice};
use crate::policy::Place;
use crate::{Outcome, ensure};

crate::cases!("memory":
    frames_have_one_owner,
    heap_objects_have_one_owner,
    runs_are_contiguous_and_come_back,
    exhaustion_is_an_error,
    large_heap_objects_need_no_contiguous_frames,
    device_memory_keeps_to_its_length,
    user_memory_needs_a_space,
);

fn frames_have_one_owner() -> Outcome {
    let before = mm::stats().free;
    let crew = Crew::default();
    for number in 0..4_u64 {
        crew.start(Place::On(number as usize), move |_| {
            let mut dice = Dice(number + 3);
            let mut frames: Vec<(UFrame, u64)> = Vec::new();
            for round in 0..4000_u64 {
                if frames.len() < 200 && dice.roll(2) == 0 {
                    let frame = UFrame::alloc_dirty().map_err(|e| format!("{e:?}"))?;
                    let mark = number << 32 | round;
                    frame.write(dice.roll(PAGE_SIZE / 8 - 1) / 8 * 8, &mark.to_le_bytes());
                    frame.write(PAGE_SIZE - 8, &mark.to_le_bytes());
                    frames.push((frame, mark));
                } else if !frames.is_empty() {
                    let (frame, mark) = frames.swap_remove(dice.roll(frames.len()));
                    let mut found = [0; 8];
                    frame.read(PAGE_SIZE - 8, &mut found);
                    ensure!(u64::from_le_bytes(found) == mark, "another owner wrote into a frame");
                    let other = frame.clone();
                    ensure!(frame.share_count() == 2, "two handles share the frame");
                    drop(frame);
                    ensure!(other.share_count() == 1, "one handle is left");
                }
            }
            Ok(())
        })?;
    }
    crew.join()?;
    let after = mm::stats().free;
    // The tasks' stacks stay for later ones.
    ensure!(after + 200 >= before, "{} frames are gone", before - after);
    Ok(())
}

fn heap_objects_have_one_owner() -> Outcome {
    let passed_on: Arc<SpinLock<VecDeque<Vec<u8>>>> = Arc::default();
    let crew = Crew::default();
    for number in 0..4_u8 {
        let passed_on = passed_on.clone();
        crew.start(Place::On(number.into()), move |_| {
            let mut dice = Dice(u64::from(number) + 5);
            for round in 0..5000_usize {
                let len = 1 + dice.roll(if round % 50 == 0 { 40_000 } else { 2100 });
                let mut bytes = alloc::vec![len as u8; len];
                if round % 7 == 0 {
                    bytes.resize(2 * len, len as u8);
                }
                // Freed on whatever CPU takes it out.
                let old = {
                    let mut passed_on = passed_on.lock();
                    passed_on.push_back(bytes);
                    if passed_on.len() > 100 { passed_on.pop_front() } else { None }
                };
                let is_whole = old.is_none_or(|old| old.iter().all(|byte| *byte == old[0]));
                ensure!(is_whole, "another owner wrote into a heap object");
            }
            Ok(())
        })?;
    }
    crew.join()
}

fn runs_are_contiguous_and_come_back() -> Outcome {
    let before = mm::stats().free;
    for frames in [1, 3, 16, 100, 1024] {
        let segment = Segment::alloc_zeroed(frames).map_err(|e| format!("{frames} frames: {e:?}"))?;
        ensure!(segment.paddr().is_multiple_of(frames.next_power_of_two() * PAGE_SIZE), "misaligned run");
        let mut bytes = [1; 16];
        segment.read(segment.len() - 16, &mut bytes);
        ensure!(bytes == [0; 16], "not zeroed");
    }
    ensure!(Segment::alloc_zeroed(0).err() == Some(Error::InvalidArgument), "no frames");
    ensure!(Segment::alloc_zeroed(usize::MAX / PAGE_SIZE).err() == Some(Error::NoMemory), "too many frames");
    ensure!(mm::stats().free == before, "a run did not come back");
    Ok(())
}

fn exhaustion_is_an_error() -> Outcome {
    let before = mm::stats();
    let mut frames = Vec::with_capacity(before.free);
    let error = loop {
        match UFrame::alloc_dirty() {
            Ok(frame) => frames.push(frame),
            Err(error) => break error,
        }
    };
    ensure!(error == Error::NoMemory, "{error:?}");
    ensure!(mm::stats().free + 64 >= before.reserve, "the reserve was touched");
    // The kernel goes on with the reserve.
    let crew = Crew::default();
    crew.start(Place::Any, |_| {
        task::yield_now();
        Ok(())
    })?;
    crew.join()?;
    let space = VmSpace::new().map_err(|e| format!("page tables: {e:?}"))?;
    drop(space);
    drop(frames);
    UFrame::alloc_zeroed().map(drop).map_err(|e| format!("all is free again: {e:?}"))
}

/// Takes every frame, keeps every second one, and takes the runs that the reserve has: no two neighbours are free then.
fn fragment_memory() -> (Vec<UFrame>, Vec<Segment>) {
    let mut frames = Vec::with_capacity(mm::stats().free);
    while let Ok(frame) = UFrame::alloc_dirty() {
        frames.push(frame);
    }
    frames.retain(|frame| (frame.paddr() / PAGE_SIZE).is_multiple_of(2));
    let mut runs = Vec::with_capacity(frames.len());
    for len in [4096, 256, 16, 4, 2] {
        while let Ok(run) = Segment::alloc_zeroed(len) {
            runs.push(run);
        }
    }
    (frames, runs)
}

fn large_heap_objects_need_no_contiguous_frames() -> Outcome {
    let held = fragment_memory();
    ensure!(Segment::alloc_zeroed(4).is_err(), "memory is not in pieces");
    let before = mm::stats();
    let passed_on: Arc<SpinLock<Vec<Vec<u8>>>> = Arc::default();
    let crew = Crew::default();
    // More than is recycled at a time, several times over.
    for number in 0..4_u8 {
        let passed_on = passed_on.clone();
        crew.start(Place::On(number.into()), move |_| {
            let mut dice = Dice(u64::from(number) + 9);
            for round in 0..200_usize {
                let len = 1 + dice.roll(2 << 20);
                let mut bytes: Vec<u8> = Vec::new();
                bytes.try_reserve_exact(len).map_err(|_| format!("{len} bytes"))?;
                bytes.resize(len, round as u8);
                // Freed on whatever CPU takes it out.
                let other = {
                    let mut passed_on = passed_on.lock();
                    passed_on.push(bytes);
                    if passed_on.len() > 4 { Some(passed_on.swap_remove(0)) } else { None }
                };
                let is_whole = other.is_none_or(|bytes| bytes.iter().all(|byte| *byte == bytes[0]));
                ensure!(is_whole, "another owner wrote into a large object");
            }
            Ok(())
        })?;
    }
    crew.join()?;
    passed_on.lock().clear();
    let after = mm::stats();
    ensure!(after.heap <= before.heap + 64, "{} frames stay in the heap", after.heap - before.heap);
    // What the window's tables take stays, and stacks of the crew.
    ensure!(after.free + 600 >= before.free, "{} frames are gone", before.free - after.free);
    drop(held);
    Ok(())
}

fn device_memory_keeps_to_its_length() -> Outcome {
    let ring = DmaCoherent::alloc(100).map_err(|e| format!("{e:?}"))?;
    ring.store_u64(88, u64::MAX);
    ensure!(ring.load_u32(92) == u32::MAX && ring.load_u16(0) == 0, "loads see stores");
    ensure!(ring.device_address().is_multiple_of(PAGE_SIZE as u64), "page-aligned for the device");
    let frames: Result<Vec<_>, _> = (0..3).map(|_| UFrame::alloc_zeroed()).collect();
    let frames = frames.map_err(|e| format!("{e:?}"))?;
    let addresses: Vec<u64> = frames.iter().map(|frame| frame.paddr() as u64).collect();
    let stream = DmaStream::new(frames, Direction::FromDevice).map_err(|e| format!("{e:?}"))?;
    ensure!((0..3).all(|i| stream.device_address(i) == addresses[i]), "addresses are the frames'");
    ensure!(stream.finish().len() == 3, "the frames come back");
    Ok(())
}

fn user_memory_needs_a_space() -> Outcome {
    let mut bytes = [0; 8];
    let bad = Err(Error::BadAddress);
    ensure!(user_io::load_u32(0x1000) == bad, "a load");
    ensure!(user_io::compare_exchange_u32(0x1000, 0, 1) == bad, "an exchange");
    ensure!(user_io::read_c_string(0x1000, &mut bytes) == Err(Error::BadAddress), "a string");
    let read = VmReader::from_user(0x1000, 8).and_then(|mut reader| reader.read(&mut bytes));
    let written = VmWriter::from_user(0x1000, 8).and_then(|mut writer| writer.write(&bytes));
    ensure!(read == Err(Error::BadAddress) && written == Err(Error::BadAddress), "reader and writer");
    for (addr, len) in [(mm::USER_END, 1), (mm::USER_END - 1, 2), (usize::MAX, 1), (0xffff_8000_0000_0000, 8)]
    {
        ensure!(
            VmReader::from_user(addr, len).is_err() && VmWriter::from_user(addr, len).is_err(),
            "{addr:#x}"
        );
    }
    Ok(())
}
