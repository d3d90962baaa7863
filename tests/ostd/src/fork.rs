//! Copy-on-write between two spaces on two CPUs, and what the kernel's fault handler may do.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use ostd::mm::user_io::{self, UserFault};
use ostd::mm::vm_space::Share;
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame, VmReader, VmSpace, VmWriter, page_down};
use ostd::{Error, mm};

use crate::crew::{Crew, sleep_ns};
use crate::policy::Place;
use crate::spaces::{DATA, READ_WRITE, Served, frame_with, map, with_program};
use crate::{Outcome, ensure};

crate::cases!("fork":
    writes_of_parent_and_child_stay_apart,
    a_served_fault_is_tried_again,
    an_unserved_fault_is_a_short_count,
    a_handler_may_sleep_and_change_the_space,
    a_handler_that_drops_the_space_ends_the_access,
);

const PAGES: usize = 40;
const END: usize = DATA + PAGES * PAGE_SIZE;

/// Copies the page if others share its frame, else lets it be written.
fn copy_on_write(space: &VmSpace, fault: UserFault) -> bool {
    let at = page_down(fault.address);
    let Ok(mut cursor) = space.cursor(at..at + PAGE_SIZE) else { return false };
    let Some((frame, flags)) = cursor.query() else { return false };
    if !fault.is_write || flags.contains(PageFlags::WRITE) {
        return true;
    }
    // This handle and the page's own.
    if frame.share_count() == 2 {
        cursor.protect_to(at + PAGE_SIZE, &mut |flags| flags | PageFlags::WRITE);
        return true;
    }
    let Ok(copy) = UFrame::alloc_dirty() else { return false };
    copy.copy_from(&frame);
    cursor.map(copy, READ_WRITE).is_ok()
}

fn served(space: &Arc<VmSpace>) -> Arc<Served> {
    let space = space.clone();
    Arc::new(Served(Box::new(move |fault| copy_on_write(&space, fault))))
}

fn writes_of_parent_and_child_stay_apart() -> Outcome {
    let before = mm::stats().page_tables;
    for round in 0..25_u8 {
        let parent = with_program(&[])?;
        for page in 0..PAGES {
            map(&parent, DATA + page * PAGE_SIZE, frame_with(&[round; 64])?, READ_WRITE)?;
        }
        let crew = Crew::default();
        let (own, both) = (parent.clone(), crew.clone());
        crew.start_with(Place::On(0), served(&parent), move |_| {
            own.activate();
            // While the parent's TLB is warm, fork; the child then runs on the other CPU.
            user_io::load_u32(DATA).map_err(|e| format!("{e:?}"))?;
            let child = VmSpace::new().map_err(|e| format!("{e:?}"))?;
            {
                let mut to = child.cursor(DATA..END).map_err(|e| format!("{e:?}"))?;
                let mut from = own.cursor(DATA..END).map_err(|e| format!("{e:?}"))?;
                from.share_to(END, &mut to, Share::CopyOnWrite).map_err(|e| format!("{e:?}"))?;
            }
            let loaded = child.clone();
            both.start_with(Place::On(1), served(&child), move |_| {
                loaded.activate();
                write_and_check(round, 0xc0)
            })?;
            write_and_check(round, 0x80)
        })?;
        crew.join()?;
        drop(parent);
    }
    // Spaces go with their tasks, which the reaper buries.
    for _ in 0..1000 {
        if mm::stats().page_tables <= before {
            return Ok(());
        }
        sleep_ns(1_000_000);
    }
    Err("page tables are left".into())
}

/// Writes its own mark all over, and finds that and what was there before the fork, nothing else.
fn write_and_check(old: u8, mark: u8) -> Outcome {
    for page in 0..PAGES {
        let at = DATA + page * PAGE_SIZE;
        let mut bytes = [0; 64];
        let read =
            |bytes: &mut [u8]| VmReader::from_user(at, 64).and_then(|mut reader| reader.read_exact(bytes));
        read(&mut bytes).map_err(|e| format!("{e:?}"))?;
        ensure!(bytes == [old; 64], "the other side's write shows in page {page}");
        VmWriter::from_user(at, 32)
            .and_then(|mut w| w.write_all(&[mark; 32]))
            .map_err(|e| format!("{e:?}"))?;
        read(&mut bytes).map_err(|e| format!("{e:?}"))?;
        ensure!(bytes[..32] == [mark; 32] && bytes[32..] == [old; 32], "page {page} is mixed up");
    }
    Ok(())
}

/// Runs an access in a space of its own whose faults are served by `server`.
fn with_server(
    server: impl Fn(&Arc<VmSpace>, UserFault) -> bool + Send + Sync + 'static,
    access: impl FnOnce() -> Outcome + Send + 'static,
) -> Outcome {
    let space = with_program(&[])?;
    let own = space.clone();
    let data = Arc::new(Served(Box::new(move |fault| server(&own, fault))));
    let crew = Crew::default();
    crew.start_with(Place::Any, data, move |_| {
        space.activate();
        access()
    })?;
    crew.join()
}

fn fill(space: &VmSpace, fault: UserFault) -> bool {
    let Ok(frame) = frame_with(&[7; 4096]) else { return false };
    map(space, page_down(fault.address), frame, READ_WRITE).is_ok()
}

fn a_served_fault_is_tried_again() -> Outcome {
    let count = Arc::new(AtomicUsize::new(0));
    let faults = count.clone();
    let server = move |space: &Arc<VmSpace>, fault| {
        count.fetch_add(1, Ordering::SeqCst);
        fill(space, fault)
    };
    with_server(server, move || {
        let mut bytes = alloc::vec![0; 3 * PAGE_SIZE];
        let read = VmReader::from_user(DATA + 100, 3 * PAGE_SIZE).and_then(|mut r| r.read(&mut bytes));
        ensure!(read == Ok(3 * PAGE_SIZE) && bytes.iter().all(|byte| *byte == 7), "{read:?}");
        ensure!(faults.load(Ordering::SeqCst) == 4, "{faults:?} faults for four pages");
        ensure!(
            user_io::compare_exchange_u32(DATA + 8 * PAGE_SIZE, 0x0707_0707, 1) == Ok(0x0707_0707),
            "exchange"
        );
        let zeroed = VmWriter::from_user(DATA + 16 * PAGE_SIZE - 3, 6).and_then(|mut w| w.write_zeros(6));
        ensure!(zeroed == Ok(6), "{zeroed:?}");
        Ok(())
    })
}

fn an_unserved_fault_is_a_short_count() -> Outcome {
    let server =
        |space: &Arc<VmSpace>, fault: UserFault| fault.address < DATA + PAGE_SIZE && fill(space, fault);
    with_server(server, || {
        for len in [1, 2, 3, 7, 8, 9, 63, 64, 65, 1000] {
            let start = DATA + PAGE_SIZE - len;
            let mut bytes = alloc::vec![0; 2 * len];
            let read = VmReader::from_user(start, 2 * len).and_then(|mut r| r.read(&mut bytes));
            ensure!(read == Ok(len), "read {read:?} instead of {len}");
            let written = VmWriter::from_user(start, 2 * len).and_then(|mut w| w.write(&bytes));
            ensure!(written == Ok(len), "wrote {written:?} instead of {len}");
            let zeroed = VmWriter::from_user(start, 2 * len).and_then(|mut w| w.write_zeros(2 * len));
            ensure!(zeroed == Ok(len), "zeroed {zeroed:?} instead of {len}");
        }
        let mut text = [0; 64];
        VmWriter::from_user(DATA + PAGE_SIZE - 4, 4)
            .and_then(|mut w| w.write_all(b"abcd"))
            .map_err(|e| format!("{e:?}"))?;
        let open = user_io::read_c_string(DATA + PAGE_SIZE - 4, &mut text);
        ensure!(open == Err(Error::BadAddress), "a string without an end: {open:?}");
        let full = user_io::read_c_string(DATA + PAGE_SIZE - 4, &mut text[..4]);
        ensure!(full == Ok(None), "a string as long as the buffer: {full:?}");
        ensure!(user_io::load_u32(DATA + PAGE_SIZE) == Err(Error::BadAddress), "a word that is not there");
        Ok(())
    })
}

fn a_handler_may_sleep_and_change_the_space() -> Outcome {
    let server = |space: &Arc<VmSpace>, fault| {
        sleep_ns(100_000);
        fill(space, fault)
    };
    with_server(server, || {
        for page in 0..20 {
            let found = user_io::load_u32(DATA + page * PAGE_SIZE);
            ensure!(found == Ok(0x0707_0707), "{found:x?}");
        }
        Ok(())
    })
}

fn a_handler_that_drops_the_space_ends_the_access() -> Outcome {
    // The page is there by then, and the space still loaded: only no longer the task's.
    let server = |space: &Arc<VmSpace>, fault| {
        let is_there = fill(space, fault);
        VmSpace::deactivate_current();
        is_there
    };
    with_server(server, || {
        let found = user_io::load_u32(DATA);
        ensure!(found == Err(Error::BadAddress), "{found:x?}");
        Ok(())
    })
}
