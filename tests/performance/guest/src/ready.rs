//! Asking which of many descriptors is ready.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::select::{FdSet, select};
use nix::sys::time::TimeVal;
use nix::unistd::{dup, pipe, write};

use crate::bench::{Bench, EACH, time};

pub const BENCHES: &[Bench] = &[
    Bench { name: "select_100", unit: EACH, run: select_idle },
    Bench { name: "poll_100", unit: EACH, run: poll_idle },
    Bench { name: "epoll_ready", unit: EACH, run: epoll_ready },
];

/// A hundred descriptors of one empty pipe, and its other end.
fn idle() -> io::Result<(Vec<OwnedFd>, OwnedFd)> {
    let (reader, writer) = pipe()?;
    let readers = (0..100).map(|_| dup(&reader)).collect::<Result<_, _>>()?;
    Ok((readers, writer))
}

fn none_ready(count: i32) -> io::Result<()> {
    if count == 0 {
        Ok(())
    } else {
        Err(io::Error::other(format!("{count} descriptors of an empty pipe are ready")))
    }
}

fn select_idle(count: u64) -> io::Result<Duration> {
    let (readers, _writer) = idle()?;
    time(count, || {
        let mut set = FdSet::new();
        readers.iter().for_each(|reader| set.insert(reader.as_fd()));
        none_ready(select(None, &mut set, None, None, &mut TimeVal::new(0, 0))?)
    })
}

fn poll_idle(count: u64) -> io::Result<Duration> {
    let (readers, _writer) = idle()?;
    let mut polled: Vec<PollFd> =
        readers.iter().map(|reader| PollFd::new(reader.as_fd(), PollFlags::POLLIN)).collect();
    time(count, || none_ready(poll(&mut polled, PollTimeout::ZERO)?))
}

fn epoll_ready(count: u64) -> io::Result<Duration> {
    let (reader, writer) = pipe()?;
    write(&writer, b"x")?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    let mut events = [EpollEvent::empty()];
    time(count, || match epoll.wait(&mut events, EpollTimeout::NONE)? {
        1 => Ok(()),
        other => Err(io::Error::other(format!("{other} events"))),
    })
}
