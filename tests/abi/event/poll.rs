//! poll(2), ppoll(2), select(2), pselect(2).

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::select::{FdSet, pselect, select};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::time::{TimeSpec, TimeVal};
use nix::unistd::{getpid, pipe, write};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("event":
    poll_finds_the_ready_one,
    poll_times_out,
    poll_wakes_when_data_arrives,
    poll_reports_bad_descriptors,
    poll_of_a_file_is_always_ready,
    ppoll_swaps_the_mask,
    select_finds_readers_and_writers,
    select_tells_the_time_left,
    select_of_a_bad_descriptor_fails_with_ebadf,
    pselect_times_out,
);

fn poll_finds_the_ready_one() -> Outcome {
    let pipes = (0..5).map(|_| pipe()).collect::<Result<Vec<_>, _>>()?;
    write(&pipes[3].1, b"x")?;
    let mut polled: Vec<PollFd> =
        pipes.iter().map(|(reader, _)| PollFd::new(reader.as_fd(), PollFlags::POLLIN)).collect();
    check_eq!(poll(&mut polled, PollTimeout::NONE)?, 1);
    let ready: Vec<bool> = polled.iter().map(|one| one.any().unwrap_or(false)).collect();
    check_eq!(ready, [false, false, false, true, false]);
    Ok(())
}

fn poll_times_out() -> Outcome {
    let (reader, _writer) = pipe()?;
    let start = Instant::now();
    check_eq!(poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], 40_u8)?, 0);
    check!(start.elapsed() >= Duration::from_millis(40));
    check_eq!(poll(&mut [], 10_u8)?, 0);
    Ok(())
}

fn poll_wakes_when_data_arrives() -> Outcome {
    let (reader, writer) = pipe()?;
    let child = child::fork(|| {
        let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        i32::from(poll(&mut polled, 5000_u16) != Ok(1))
    })?;
    child.until_asleep()?;
    write(&writer, b"x")?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn poll_reports_bad_descriptors() -> Outcome {
    let mut polled = [
        libc::pollfd { fd: 999, events: libc::POLLIN, revents: 0 },
        libc::pollfd { fd: -1, events: libc::POLLIN, revents: 77 },
    ];
    // SAFETY: the array is a live local of the length given.
    let count = unsafe { libc::poll(polled.as_mut_ptr(), 2, 0) };
    check_eq!((count, polled[0].revents, polled[1].revents), (1, libc::POLLNVAL, 0));
    Ok(())
}

fn poll_of_a_file_is_always_ready() -> Outcome {
    let file = std::fs::File::create("file")?;
    let both = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut polled = [PollFd::new(file.as_fd(), both)];
    check_eq!(poll(&mut polled, PollTimeout::NONE)?, 1);
    check_eq!(polled[0].revents(), Some(both));
    Ok(())
}

extern "C" fn nothing(_: libc::c_int) {}

fn ppoll_swaps_the_mask() -> Outcome {
    // SAFETY: the handler does nothing.
    unsafe { nix::sys::signal::signal(Signal::SIGUSR1, nix::sys::signal::SigHandler::Handler(nothing)) }?;
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.thread_block()?;
    kill(getpid(), Signal::SIGUSR1)?;
    let (reader, _writer) = pipe()?;
    let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    check_fails!(ppoll(&mut polled, Some(TimeSpec::new(5, 0)), Some(SigSet::empty())), EINTR);
    check!(SigSet::thread_get_mask()?.contains(Signal::SIGUSR1));
    check_eq!(ppoll(&mut polled, Some(TimeSpec::new(0, 1_000_000)), Some(SigSet::empty()))?, 0);
    Ok(())
}

fn select_finds_readers_and_writers() -> Outcome {
    let (first, second) = (pipe()?, pipe()?);
    write(&second.1, b"x")?;
    let (mut readers, mut writers) = (FdSet::new(), FdSet::new());
    readers.insert(first.0.as_fd());
    readers.insert(second.0.as_fd());
    writers.insert(first.1.as_fd());
    let mut none = TimeVal::new(0, 0);
    check_eq!(select(None, &mut readers, &mut writers, None, &mut none)?, 2);
    check_eq!((readers.contains(first.0.as_fd()), readers.contains(second.0.as_fd())), (false, true));
    check!(writers.contains(first.1.as_fd()));
    Ok(())
}

fn select_tells_the_time_left() -> Outcome {
    let (reader, writer) = pipe()?;
    write(&writer, b"x")?;
    let mut readers = FdSet::new();
    readers.insert(reader.as_fd());
    let mut timeout = TimeVal::new(10, 0);
    check_eq!(select(None, &mut readers, None, None, &mut timeout)?, 1);
    check!(timeout.tv_sec() >= 8 && timeout.tv_sec() <= 10, "{} s", timeout.tv_sec());
    Ok(())
}

fn select_of_a_bad_descriptor_fails_with_ebadf() -> Outcome {
    let mut bits = [0_u64; 16];
    // Linux looks only at numbers below the size of the descriptor table, which is 64 at first.
    bits[0] |= 1 << 50;
    let address = bits.as_mut_ptr() as usize;
    // SAFETY: the set has 1024 bits.
    check_fails!(unsafe { crate::raw::syscall(libc::SYS_select, [51, address, 0, 0, 0]) }, EBADF);
    check_fails!(crate::raw::harmless(libc::SYS_select, [usize::MAX, 0, 0, 0, 0]), EINVAL);
    Ok(())
}

fn pselect_times_out() -> Outcome {
    let (reader, _writer) = pipe()?;
    let mut readers = FdSet::new();
    readers.insert(reader.as_fd());
    let start = Instant::now();
    check_eq!(pselect(None, &mut readers, None, None, &TimeSpec::new(0, 30_000_000), None)?, 0);
    check!(start.elapsed() >= Duration::from_millis(30));
    check!(!readers.contains(reader.as_fd()));
    Ok(())
}
