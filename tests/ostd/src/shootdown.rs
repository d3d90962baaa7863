//! Changing an address space while another CPU uses it: nothing stale may be read or written.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ostd::mm::{PAGE_SIZE, PageFlags, VmSpace, user_io};
use ostd::sync::WaitQueue;
use ostd::user::{Exception, Regs, ReturnReason, UserContext};
use ostd::{mm, task, timer};

use crate::crew::{Crew, sleep_ns, wait_for};
use crate::policy::Place;
use crate::spaces::{DATA, READ_WRITE, at_start, frame_with, map, unmap, with_program};
use crate::{Outcome, code, ensure};

crate::cases!("shootdown":
    a_reader_never_sees_a_replaced_frame,
    a_program_stops_at_an_unmapped_page,
    a_protected_page_is_not_written,
    a_lazy_cpu_forgets_before_it_comes_back,
    whole_tables_go_under_a_reader,
    spaces_are_dropped_where_they_are_loaded,
);

const ROUNDS: u32 = 1500;
/// What a frame holds once it is somebody else's.
const STALE: u32 = u32::MAX;

fn a_reader_never_sees_a_replaced_frame() -> Outcome {
    let space = with_program(&[])?;
    let published = Arc::new(AtomicU32::new(0));
    map(&space, DATA, frame_with(&0_u32.to_le_bytes())?, READ_WRITE)?;
    let crew = Crew::default();
    let (own, news) = (space.clone(), published.clone());
    crew.start(Place::On(1), move |crew| {
        own.activate();
        while !crew.is_stopped() {
            let at_least = news.load(Ordering::SeqCst);
            match user_io::load_u32(DATA) {
                // Replacing takes no right away in between, so the page is always there.
                Ok(found) => ensure!(found >= at_least && found != STALE, "{found:#x} after {at_least:#x}"),
                Err(error) => return Err(format!("{error:?}")),
            }
        }
        Ok(())
    })?;
    crew.start(Place::On(0), move |crew| {
        for round in 1..ROUNDS {
            let old = space.cursor(DATA..DATA + PAGE_SIZE).ok().and_then(|mut cursor| cursor.query());
            map(&space, DATA, frame_with(&round.to_le_bytes())?, READ_WRITE)?;
            published.store(round, Ordering::SeqCst);
            // Ours alone from here on.
            let (old, _) = old.ok_or("the page is gone")?;
            ensure!(old.share_count() == 1, "somebody still maps the old frame");
            old.write(0, &STALE.to_le_bytes());
            if round % 16 == 0 {
                task::yield_now();
            }
            if crew.is_stopped() {
                break;
            }
        }
        crew.stop();
        Ok(())
    })?;
    crew.join()
}

fn a_program_stops_at_an_unmapped_page() -> Outcome {
    let counter = frame_with(&[])?;
    let space = with_program(code::COUNT)?;
    map(&space, DATA + PAGE_SIZE, counter.clone(), READ_WRITE)?;
    let faults = Arc::new(AtomicUsize::new(0));
    let crew = Crew::default();
    let (own, faulted) = (space.clone(), faults.clone());
    crew.start(Place::On(1), move |crew| {
        own.activate();
        let regs = Regs { rdi: DATA as u64, rsi: (DATA + PAGE_SIZE) as u64, ..at_start().regs };
        let mut context = UserContext { regs };
        while !crew.is_stopped() {
            match context.execute() {
                ReturnReason::Interrupt => {}
                ReturnReason::Exception(Exception { vector: 14, fault_address: DATA, .. }) => {
                    faulted.fetch_add(1, Ordering::SeqCst);
                    task::yield_now();
                }
                reason => return Err(format!("{reason:?}")),
            }
        }
        Ok(())
    })?;
    let count = || {
        let mut bytes = [0; 8];
        counter.read(0, &mut bytes);
        u64::from_le_bytes(bytes)
    };
    let work = || -> Outcome {
        for _ in 0..60 {
            let before = count();
            map(&space, DATA, frame_with(&[])?, PageFlags::READ)?;
            wait_for("the program to count", || count() > before + 10)?;
            ensure!(unmap(&space, DATA), "the page was not mapped");
            let stopped = count();
            let faults_before = faults.load(Ordering::SeqCst);
            wait_for("a fault", || faults.load(Ordering::SeqCst) > faults_before)?;
            // The instruction after the load may have been under way.
            ensure!(count() <= stopped + 1, "it went on reading");
        }
        Ok(())
    };
    let outcome = work();
    crew.stop();
    crew.join()?;
    outcome
}

fn a_protected_page_is_not_written() -> Outcome {
    let space = with_program(&[])?;
    let frame = frame_with(&[])?;
    map(&space, DATA, frame.clone(), READ_WRITE)?;
    let crew = Crew::default();
    let own = space.clone();
    crew.start(Place::On(1), move |crew| {
        own.activate();
        let mut next = 0_u32;
        while !crew.is_stopped() {
            next = match user_io::compare_exchange_u32(DATA, next, next.wrapping_add(1)) {
                Ok(found) if found == next => next.wrapping_add(1),
                Ok(found) => found,
                Err(_) => next,
            };
        }
        Ok(())
    })?;
    let read = || {
        let mut bytes = [0; 4];
        frame.read(0, &mut bytes);
        u32::from_le_bytes(bytes)
    };
    let protect = |flags| {
        if let Ok(mut cursor) = space.cursor(DATA..DATA + PAGE_SIZE) {
            cursor.protect_to(DATA + PAGE_SIZE, &mut |_| flags);
        }
    };
    let work = || -> Outcome {
        for round in 0..300 {
            let before = read();
            wait_for("writes", || read() != before)?;
            protect(if round % 2 == 0 { PageFlags::READ } else { PageFlags::empty() });
            let stopped = read();
            for _ in 0..200 {
                ensure!(read() == stopped, "it was written");
            }
            protect(READ_WRITE);
        }
        Ok(())
    };
    let outcome = work();
    crew.stop();
    crew.join()?;
    outcome
}

fn a_lazy_cpu_forgets_before_it_comes_back() -> Outcome {
    let space = with_program(&[])?;
    map(&space, DATA, frame_with(&0_u32.to_le_bytes())?, READ_WRITE)?;
    let turn = Arc::new((AtomicU32::new(0), WaitQueue::new(), WaitQueue::new()));
    let crew = Crew::default();
    let (own, turns) = (space.clone(), turn.clone());
    crew.start(Place::On(1), move |_| {
        own.activate();
        for round in 1..ROUNDS {
            // Asleep, with the CPU idle: it keeps the space, lazily.
            turns.1.wait_until(|| (turns.0.load(Ordering::SeqCst) == 2 * round - 1).then_some(()));
            let found = user_io::load_u32(DATA);
            ensure!(found == Ok(round), "{found:x?} in round {round}");
            turns.0.store(2 * round, Ordering::SeqCst);
            turns.2.wake_one();
        }
        Ok(())
    })?;
    crew.start(Place::On(0), move |_| {
        for round in 1..ROUNDS {
            turn.2.wait_until(|| (turn.0.load(Ordering::SeqCst) == 2 * (round - 1)).then_some(()));
            map(&space, DATA, frame_with(&round.to_le_bytes())?, READ_WRITE)?;
            turn.0.store(2 * round - 1, Ordering::SeqCst);
            turn.1.wake_one();
        }
        Ok(())
    })?;
    crew.join()
}

fn whole_tables_go_under_a_reader() -> Outcome {
    const PAGES: usize = 1024;
    let space = with_program(&[])?;
    let crew = Crew::default();
    let own = space.clone();
    crew.start(Place::On(1), move |crew| {
        own.activate();
        let mut round = 0;
        while !crew.is_stopped() {
            round += 1;
            if let Ok(found) = user_io::load_u32(DATA + round % PAGES * PAGE_SIZE) {
                ensure!(found == 0x00c0_ffee, "{found:#x} from somebody else's frame");
            }
        }
        Ok(())
    })?;
    let before = mm::stats().page_tables;
    let work = || -> Outcome {
        for _ in 0..12 {
            let frame = frame_with(&0x00c0_ffee_u32.to_le_bytes())?;
            let range = DATA..DATA + PAGES * PAGE_SIZE;
            let mut cursor = space.cursor(range.clone()).map_err(|e| format!("{e:?}"))?;
            for _ in 0..PAGES {
                cursor.map(frame.clone(), READ_WRITE).map_err(|e| format!("{e:?}"))?;
            }
            drop(cursor);
            sleep_ns(200_000);
            let mut cursor = space.cursor(range.clone()).map_err(|e| format!("{e:?}"))?;
            ensure!(cursor.unmap_to(range.end) == PAGES, "pages are missing");
            drop(cursor);
            // Tables and frame are free; others take them and write.
            ensure!(frame.share_count() == 1, "somebody still maps the frame");
            drop(frame);
            for _ in 0..8 {
                frame_with(&STALE.to_le_bytes())?;
            }
        }
        Ok(())
    };
    let outcome = work();
    crew.stop();
    crew.join()?;
    ensure!(mm::stats().page_tables == before, "page tables are left");
    outcome
}

fn spaces_are_dropped_where_they_are_loaded() -> Outcome {
    let before = mm::stats();
    let crew = Crew::default();
    for number in 0..4 {
        crew.start(Place::On(number), move |_| {
            for round in 0..100_u32 {
                let space = with_program(code::CALL)?;
                map(&space, DATA, frame_with(&round.to_le_bytes())?, READ_WRITE)?;
                space.activate();
                // Dropped by the task or by its successor, while this CPU has it loaded.
                drop(space);
                ensure!(user_io::load_u32(DATA) == Ok(round), "the page is lost");
                if round % 3 == 0 {
                    task::yield_now();
                }
                if round % 7 == 0 {
                    VmSpace::deactivate_current();
                    ensure!(user_io::load_u32(DATA).is_err(), "a space that was given up");
                }
            }
            Ok(())
        })?;
    }
    crew.join()?;
    let end = timer::now_ns() + 5_000_000_000;
    while mm::stats().page_tables > before.page_tables {
        ensure!(
            timer::now_ns() < end,
            "{} page tables are left",
            mm::stats().page_tables - before.page_tables
        );
        sleep_ns(1_000_000);
    }
    Ok(())
}
