//! Talking to another process: a byte there and back, and many bytes there.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe};

use crate::bench::{Bench, EACH, Unit, time};

const PIPE_BLOCK: usize = 4 << 10;
const SOCKET_BLOCK: usize = 64 << 10;

pub const BENCHES: &[Bench] = &[
    Bench { name: "pipe_rtt", unit: EACH, run: |count| round_trip(pipes()?, count) },
    Bench { name: "pipe_bw_4k", unit: rate(PIPE_BLOCK), run: |count| bandwidth(pipes()?, PIPE_BLOCK, count) },
    Bench { name: "unix_rtt", unit: EACH, run: |count| round_trip(unix()?, count) },
    Bench {
        name: "unix_bw_64k",
        unit: rate(SOCKET_BLOCK),
        run: |count| bandwidth(unix()?, SOCKET_BLOCK, count),
    },
    Bench { name: "tcp_rtt", unit: EACH, run: |count| round_trip(tcp()?, count) },
    Bench {
        name: "tcp_bw_64k",
        unit: rate(SOCKET_BLOCK),
        run: |count| bandwidth(tcp()?, SOCKET_BLOCK, count),
    },
    Bench { name: "udp_rtt", unit: EACH, run: |count| round_trip(udp()?, count) },
];

const fn rate(bytes: usize) -> Unit {
    Unit::Rate { bytes: bytes as u32 }
}

/// What one side reads from and writes to.
struct End {
    reader: Box<dyn Read>,
    writer: Box<dyn Write>,
}

impl End {
    fn of_files(reader: OwnedFd, writer: OwnedFd) -> Self {
        Self { reader: Box::new(std::fs::File::from(reader)), writer: Box::new(std::fs::File::from(writer)) }
    }

    fn of_socket(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self::of_files(socket.try_clone()?, socket))
    }
}

/// The ends of two processes.
type Channel = (End, End);

fn pipes() -> io::Result<Channel> {
    let ((there_reader, there_writer), (back_reader, back_writer)) = (pipe()?, pipe()?);
    Ok((End::of_files(back_reader, there_writer), End::of_files(there_reader, back_writer)))
}

fn unix() -> io::Result<Channel> {
    let (left, right) = UnixStream::pair()?;
    Ok((End::of_socket(left.into())?, End::of_socket(right.into())?))
}

fn tcp() -> io::Result<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let left = TcpStream::connect(listener.local_addr()?)?;
    let (right, _) = listener.accept()?;
    left.set_nodelay(true)?;
    right.set_nodelay(true)?;
    Ok((End::of_socket(left.into())?, End::of_socket(right.into())?))
}

fn udp() -> io::Result<Channel> {
    let (left, right) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    left.connect(right.local_addr()?)?;
    right.connect(left.local_addr()?)?;
    Ok((End::of_socket(left.into())?, End::of_socket(right.into())?))
}

/// A child that serves its end until it cannot, and is ended when this is dropped.
struct Peer(Pid);

impl Peer {
    fn start(mut end: End, serve: impl FnOnce(&mut End) -> io::Result<()>) -> io::Result<Self> {
        // SAFETY: the benchmarks that come here have one thread.
        match unsafe { fork() }? {
            ForkResult::Child => {
                let code = i32::from(serve(&mut end).is_err());
                // SAFETY: _exit has no preconditions.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => Ok(Self(child)),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

fn round_trip((mut own, other): Channel, count: u64) -> io::Result<Duration> {
    let _peer = Peer::start(other, |end| {
        let mut byte = [0];
        loop {
            end.reader.read_exact(&mut byte)?;
            end.writer.write_all(&byte)?;
        }
    })?;
    let mut byte = [0];
    let mut trip = || {
        own.writer.write_all(&byte)?;
        own.reader.read_exact(&mut byte)
    };
    // One to warm up: the peer has to start.
    trip()?;
    time(count, trip)
}

/// Sends `count` blocks; ends when the peer says that it has them all.
fn bandwidth((mut own, other): Channel, block: usize, count: u64) -> io::Result<Duration> {
    let total = count * block as u64;
    let start = Instant::now();
    let _peer = Peer::start(other, |end| {
        let (mut buffer, mut left) = (vec![0; block], total);
        while left > 0 {
            match end.reader.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => left -= len as u64,
            }
        }
        end.writer.write_all(&[1])
    })?;
    let buffer = vec![3; block];
    for _ in 0..count {
        own.writer.write_all(&buffer)?;
    }
    own.reader.read_exact(&mut [0])?;
    Ok(start.elapsed())
}
