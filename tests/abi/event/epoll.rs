//! epoll(7): levels, edges, one shots, and what happens to closed descriptors.

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::{pipe, read, write};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("event":
    epoll_level_reports_until_read,
    epoll_edge_reports_once_per_arrival,
    epoll_oneshot_is_silent_until_rearmed,
    epoll_modify_changes_what_is_reported,
    epoll_times_out,
    epoll_wakes_a_sleeper,
    epoll_watches_again_what_was_taken_out_while_ready,
    epoll_forgets_a_closed_file,
    epoll_keeps_a_duplicate,
    epoll_reports_hangup_unasked,
    epoll_nests_and_refuses_loops,
    epoll_sets_that_nest_widely_hold_nobody_up,
    epoll_sets_are_not_woken_by_too_many_ways,
    epoll_checks_its_arguments,
    epoll_returns_no_more_than_asked_and_takes_turns,
    epoll_works_across_threads,
);

fn set() -> nix::Result<Epoll> {
    Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
}

/// What is ready now: the data of each event.
fn ready(epoll: &Epoll) -> nix::Result<Vec<(u64, EpollFlags)>> {
    let mut events = [EpollEvent::empty(); 16];
    let count = epoll.wait(&mut events, EpollTimeout::ZERO)?;
    Ok(events[..count].iter().map(|event| (event.data(), event.events())).collect())
}

fn epoll_level_reports_until_read() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 42))?;
    check_eq!(ready(&epoll)?, []);
    write(&writer, b"xy")?;
    for _ in 0..3 {
        check_eq!(ready(&epoll)?, [(42, EpollFlags::EPOLLIN)]);
    }
    read(&reader, &mut [0; 8])?;
    check_eq!(ready(&epoll)?, []);
    Ok(())
}

fn epoll_edge_reports_once_per_arrival() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 1))?;
    write(&writer, b"x")?;
    check_eq!(ready(&epoll)?.len(), 1);
    check_eq!(ready(&epoll)?.len(), 0);
    write(&writer, b"y")?;
    check_eq!(ready(&epoll)?.len(), 1);
    read(&reader, &mut [0; 1])?;
    check_eq!(ready(&epoll)?.len(), 0);
    Ok(())
}

fn epoll_oneshot_is_silent_until_rearmed() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    let mut event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, 1);
    epoll.add(&reader, event)?;
    write(&writer, b"x")?;
    check_eq!(ready(&epoll)?.len(), 1);
    write(&writer, b"y")?;
    check_eq!(ready(&epoll)?.len(), 0);
    epoll.modify(&reader, &mut event)?;
    check_eq!(ready(&epoll)?.len(), 1);
    Ok(())
}

fn epoll_modify_changes_what_is_reported() -> Outcome {
    let (epoll, (_reader, writer)) = (set()?, pipe()?);
    epoll.add(&writer, EpollEvent::new(EpollFlags::empty(), 1))?;
    check_eq!(ready(&epoll)?, []);
    epoll.modify(&writer, &mut EpollEvent::new(EpollFlags::EPOLLOUT, 2))?;
    check_eq!(ready(&epoll)?, [(2, EpollFlags::EPOLLOUT)]);
    epoll.delete(&writer)?;
    check_eq!(ready(&epoll)?, []);
    Ok(())
}

fn epoll_times_out() -> Outcome {
    let (epoll, (reader, _writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
    let start = Instant::now();
    check_eq!(epoll.wait(&mut [EpollEvent::empty()], 40_u8)?, 0);
    check!(start.elapsed() >= Duration::from_millis(40));
    Ok(())
}

fn epoll_wakes_a_sleeper() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 9))?;
    let child = child::fork(|| {
        let mut events = [EpollEvent::empty()];
        i32::from(epoll.wait(&mut events, EpollTimeout::NONE) != Ok(1) || events[0].data() != 9)
    })?;
    child.until_asleep()?;
    write(&writer, b"x")?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

/// As event loops do that ask for one direction at a time (Redis's client, libevent).
fn epoll_watches_again_what_was_taken_out_while_ready() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    write(&writer, b"x")?;
    for round in 0..100 {
        epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, round))?;
        // Not collected every time: what is taken out must not pile up either.
        if round % 3 == 0 {
            check_eq!(ready(&epoll)?, [(round, EpollFlags::EPOLLIN)]);
        }
        epoll.delete(&reader)?;
    }
    check_eq!(ready(&epoll)?, []);
    let (other, _other_writer) = pipe()?;
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
    epoll.add(&other, EpollEvent::new(EpollFlags::EPOLLIN, 2))?;
    for _ in 0..3 {
        check_eq!(ready(&epoll)?, [(1, EpollFlags::EPOLLIN)]);
    }
    Ok(())
}

fn epoll_forgets_a_closed_file() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
    write(&writer, b"x")?;
    drop(reader);
    check_eq!(ready(&epoll)?, []);
    Ok(())
}

fn epoll_keeps_a_duplicate() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
    write(&writer, b"x")?;
    let copy = nix::unistd::dup(&reader)?;
    drop(reader);
    // The registration belongs to the open file, which the duplicate keeps.
    check_eq!(ready(&epoll)?.len(), 1);
    drop(copy);
    check_eq!(ready(&epoll)?.len(), 0);
    Ok(())
}

fn epoll_reports_hangup_unasked() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    epoll.add(&reader, EpollEvent::new(EpollFlags::empty(), 1))?;
    drop(writer);
    check_eq!(ready(&epoll)?, [(1, EpollFlags::EPOLLHUP)]);
    let (reader, writer) = pipe()?;
    epoll.add(&writer, EpollEvent::new(EpollFlags::empty(), 2))?;
    drop(reader);
    check!(ready(&epoll)?.contains(&(2, EpollFlags::EPOLLERR)));
    Ok(())
}

fn epoll_nests_and_refuses_loops() -> Outcome {
    let (outer, inner, (reader, writer)) = (set()?, set()?, pipe()?);
    inner.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
    outer.add(&inner.0, EpollEvent::new(EpollFlags::EPOLLIN, 2))?;
    check_eq!(ready(&outer)?, []);
    write(&writer, b"x")?;
    check_eq!(ready(&outer)?, [(2, EpollFlags::EPOLLIN)]);
    check_fails!(inner.add(&outer.0, EpollEvent::new(EpollFlags::EPOLLIN, 3)), ELOOP);
    check_fails!(outer.add(&outer.0, EpollEvent::new(EpollFlags::EPOLLIN, 3)), EINVAL);
    Ok(())
}

fn epoll_checks_its_arguments() -> Outcome {
    let (epoll, (reader, _writer)) = (set()?, pipe()?);
    let event = EpollEvent::new(EpollFlags::EPOLLIN, 1);
    epoll.add(&reader, event)?;
    check_fails!(epoll.add(&reader, event), EEXIST);
    epoll.delete(&reader)?;
    check_fails!(epoll.delete(&reader), ENOENT);
    check_fails!(epoll.modify(&reader, &mut EpollEvent::new(EpollFlags::EPOLLIN, 1)), ENOENT);
    check_fails!(epoll.add(std::fs::File::create("file")?, event), EPERM);
    let number = epoll.0.as_fd().as_raw_fd().unsigned_abs() as usize;
    check_fails!(crate::raw::harmless(libc::SYS_epoll_wait, [number, crate::raw::BAD_ADDRESS, 0, 0]), EINVAL);
    check_fails!(crate::raw::harmless(libc::SYS_epoll_ctl, [number, 1, 999, 0]), EFAULT);
    Ok(())
}

fn epoll_returns_no_more_than_asked_and_takes_turns() -> Outcome {
    let epoll = set()?;
    let pipes = (0..6).map(|_| pipe()).collect::<Result<Vec<_>, Errno>>()?;
    for (data, (reader, writer)) in (0..).zip(&pipes) {
        epoll.add(reader, EpollEvent::new(EpollFlags::EPOLLIN, data))?;
        write(writer, b"x")?;
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut events = [EpollEvent::empty(); 2];
        check_eq!(epoll.wait(&mut events, EpollTimeout::ZERO)?, 2);
        seen.extend(events.map(|event| event.data()));
    }
    check_eq!(seen.len(), 6);
    Ok(())
}

fn epoll_works_across_threads() -> Outcome {
    let (epoll, (reader, writer)) = (set()?, pipe()?);
    let total = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut total = 0;
            while total < 500 {
                let mut events = [EpollEvent::empty()];
                if epoll.wait(&mut events, 5000_u16) != Ok(1) {
                    break;
                }
                total += read(&reader, &mut [0; 1]).unwrap_or(0);
            }
            total
        });
        // Registered while the other thread already waits.
        std::thread::sleep(Duration::from_millis(20));
        let added = epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1));
        for _ in 0..500 {
            let _ = write(&writer, b"x");
        }
        added.map(|()| waiter.join().unwrap_or(0))
    })?;
    check_eq!(total, 500);
    Ok(())
}

/// Every set of a layer watches all of the next one: as many ways down as the layers' product.
fn epoll_sets_that_nest_widely_hold_nobody_up() -> Outcome {
    const WIDTH: usize = 100;
    let layers = (0..4)
        .map(|_| (0..WIDTH).map(|_| set()).collect::<nix::Result<Vec<_>>>())
        .collect::<nix::Result<Vec<_>>>()?;
    // From the bottom, so that each addition has all the ways below it to look at.
    for pair in layers.windows(2).rev() {
        for (upper, lower) in pair[0].iter().flat_map(|upper| pair[1].iter().map(move |lower| (upper, lower)))
        {
            match upper.add(&lower.0, EpollEvent::new(EpollFlags::EPOLLIN, 0)) {
                Ok(()) => {}
                // Too many ways. How many are is not said anywhere.
                Err(Errno::ELOOP | Errno::EINVAL) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// The same, from the top: each addition has few ways below it, but a write to the file that all lowest sets watch would go up by all of them.
fn epoll_sets_are_not_woken_by_too_many_ways() -> Outcome {
    const WIDTH: usize = 30;
    let (reader, writer) = pipe()?;
    let layers = (0..4)
        .map(|_| (0..WIDTH).map(|_| set()).collect::<nix::Result<Vec<_>>>())
        .collect::<nix::Result<Vec<_>>>()?;
    let event = EpollEvent::new(EpollFlags::EPOLLIN, 7);
    layers[3].iter().try_for_each(|lowest| lowest.add(&reader, event))?;
    let (mut last_taken, mut is_refused) = (None, false);
    for pair in layers.windows(2) {
        for (upper, lower) in pair[0].iter().flat_map(|upper| pair[1].iter().map(move |lower| (upper, lower)))
        {
            match upper.add(&lower.0, event) {
                Ok(()) => last_taken = Some((upper, lower)),
                Err(Errno::EINVAL) => is_refused = true,
                Err(error) => return Err(error.into()),
            }
        }
    }
    check!(is_refused, "30 x 30 x 30 x 30 ways are taken");
    write(&writer, b"x")?;
    check_eq!(ready(&layers[3][0])?, [(7, EpollFlags::EPOLLIN)]);
    // What is taken out makes room.
    let (upper, lower) = last_taken.ok_or(Errno::ENOENT)?;
    upper.delete(&lower.0)?;
    upper.add(&lower.0, event)?;
    Ok(())
}
