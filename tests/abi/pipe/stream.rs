//! pipe(2), pipe(7).

use std::os::fd::{AsFd, AsRawFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{pipe, pipe2, read, write};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("pipe":
    bytes_come_out_in_order,
    closing_the_writer_gives_end_of_file,
    closing_the_reader_gives_epipe_and_sigpipe,
    a_full_pipe_blocks_the_writer,
    nonblocking_calls_fail_with_eagain,
    small_writes_are_atomic,
    fionread_counts_what_is_buffered,
    poll_tells_hangup_and_error,
    the_capacity_can_be_changed,
    cloexec_is_set_by_pipe2,
    wrong_ends_fail_with_ebadf,
    seeking_fails_with_espipe,
    a_large_transfer_arrives_whole,
    splice_and_tee_move_bytes,
);

fn bytes_come_out_in_order() -> Outcome {
    let (reader, writer) = pipe()?;
    check_eq!(write(&writer, b"hello ")?, 6);
    check_eq!(write(&writer, b"world")?, 5);
    let mut buffer = [0; 4];
    let mut text = Vec::new();
    for expected in [4, 4, 3] {
        let count = read(&reader, &mut buffer)?;
        check_eq!(count, expected);
        text.extend_from_slice(&buffer[..count]);
    }
    check_eq!(text, b"hello world".to_vec());
    Ok(())
}

fn closing_the_writer_gives_end_of_file() -> Outcome {
    let (reader, writer) = pipe()?;
    write(&writer, b"last")?;
    let second = nix::unistd::dup(&writer)?;
    drop(writer);
    let mut buffer = [0; 8];
    check_eq!(read(&reader, &mut buffer)?, 4);
    drop(second);
    check_eq!(read(&reader, &mut buffer)?, 0);
    check_eq!(read(&reader, &mut buffer)?, 0);
    Ok(())
}

fn closing_the_reader_gives_epipe_and_sigpipe() -> Outcome {
    let (reader, writer) = pipe()?;
    drop(reader);
    check_fails!(write(&writer, b"x"), EPIPE);
    let child = child::fork(|| {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed.
        let _ = unsafe { sigaction(Signal::SIGPIPE, &default) };
        let _ = write(&writer, b"x");
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGPIPE);
    Ok(())
}

fn a_full_pipe_blocks_the_writer() -> Outcome {
    let (reader, writer) = pipe()?;
    let child = child::fork(|| {
        let written: usize = (0..32).map(|_| write(&writer, &[7; 4096]).unwrap_or(0)).sum();
        i32::from(written != 32 * 4096)
    })?;
    drop(writer);
    child.until_asleep()?;
    let mut total = 0;
    let mut buffer = [0; 10_000];
    loop {
        match read(&reader, &mut buffer)? {
            0 => break,
            count => total += count,
        }
    }
    check_eq!(total, 32 * 4096);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn nonblocking_calls_fail_with_eagain() -> Outcome {
    let (reader, writer) = pipe2(OFlag::O_NONBLOCK)?;
    let mut buffer = [0; 4096];
    check_fails!(read(&reader, &mut buffer), EAGAIN);
    let mut total = 0;
    let error = loop {
        match write(&writer, &[1; 4096]) {
            Ok(count) => total += count,
            Err(error) => break error,
        }
    };
    check_fails!(Err::<(), _>(error), EAGAIN);
    check_eq!(total, 65_536);
    // Less than a page of room takes no page.
    check_eq!(read(&reader, &mut buffer[..100])?, 100);
    check_fails!(write(&writer, &[1; 4096]), EAGAIN);
    Ok(())
}

fn small_writes_are_atomic() -> Outcome {
    let (reader, writer) = pipe()?;
    let children = (0..4_u8)
        .map(|id| child::fork(|| (0..50).map(|_| i32::from(write(&writer, &[id; 1000]) != Ok(1000))).sum()))
        .collect::<Result<Vec<_>, _>>()?;
    drop(writer);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(reader), &mut bytes)?;
    check_eq!(bytes.len(), 4 * 50 * 1000);
    check!(bytes.chunks(1000).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])), "writes are mixed");
    for child in children {
        check_eq!(child.exit_code()?, 0);
    }
    Ok(())
}

fn fionread_counts_what_is_buffered() -> Outcome {
    let (reader, writer) = pipe()?;
    write(&writer, &[0; 5000])?;
    let mut count = 0;
    // SAFETY: the call stores an int in a live local.
    nix::errno::Errno::result(unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    check_eq!(count, 5000);
    Ok(())
}

fn poll_tells_hangup_and_error() -> Outcome {
    let events = |fd: std::os::fd::BorrowedFd<'_>, wanted| -> Outcome<PollFlags> {
        let mut polled = [PollFd::new(fd, wanted)];
        poll(&mut polled, 0_u8)?;
        Ok(polled[0].revents().unwrap_or(PollFlags::empty()))
    };
    let (reader, writer) = pipe()?;
    check_eq!(events(reader.as_fd(), PollFlags::POLLIN)?, PollFlags::empty());
    check_eq!(events(writer.as_fd(), PollFlags::POLLOUT)?, PollFlags::POLLOUT);
    write(&writer, b"x")?;
    check_eq!(events(reader.as_fd(), PollFlags::POLLIN)?, PollFlags::POLLIN);
    drop(writer);
    check_eq!(events(reader.as_fd(), PollFlags::POLLIN)?, PollFlags::POLLIN | PollFlags::POLLHUP);
    let (reader, writer) = pipe()?;
    drop(reader);
    check_eq!(events(writer.as_fd(), PollFlags::POLLOUT)?, PollFlags::POLLOUT | PollFlags::POLLERR);
    Ok(())
}

fn the_capacity_can_be_changed() -> Outcome {
    let (_reader, writer) = pipe2(OFlag::O_NONBLOCK)?;
    check_eq!(fcntl(&writer, FcntlArg::F_GETPIPE_SZ)?, 65_536);
    check_eq!(fcntl(&writer, FcntlArg::F_SETPIPE_SZ(131_072))?, 131_072);
    check_eq!(write(&writer, &[0; 200_000])?, 131_072);
    check_fails!(fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)), EBUSY);
    Ok(())
}

fn cloexec_is_set_by_pipe2() -> Outcome {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    for end in [&reader, &writer] {
        check_eq!(fcntl(end, FcntlArg::F_GETFD)?, FdFlag::FD_CLOEXEC.bits());
    }
    let (reader, _writer) = pipe()?;
    check_eq!(fcntl(&reader, FcntlArg::F_GETFD)?, 0);
    check_fails!(crate::raw::harmless(libc::SYS_pipe2, [0, 0x1234_5678]), EINVAL);
    Ok(())
}

fn wrong_ends_fail_with_ebadf() -> Outcome {
    let (reader, writer) = pipe()?;
    check_fails!(write(&reader, b"x"), EBADF);
    check_fails!(read(&writer, &mut [0]), EBADF);
    Ok(())
}

fn seeking_fails_with_espipe() -> Outcome {
    let (reader, _writer) = pipe()?;
    check_fails!(nix::unistd::lseek(&reader, 0, nix::unistd::Whence::SeekCur), ESPIPE);
    check_fails!(nix::sys::uio::pread(&reader, &mut [0], 0), ESPIPE);
    Ok(())
}

fn a_large_transfer_arrives_whole() -> Outcome {
    let (reader, writer) = pipe()?;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 253) as u8).collect();
    let child = child::fork(|| {
        i32::from(
            std::io::Write::write_all(&mut std::fs::File::from(writer.try_clone().expect("a copy")), &bytes)
                .is_err(),
        )
    })?;
    drop(writer);
    let mut arrived = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(reader), &mut arrived)?;
    check!(arrived == bytes, "{} of {} bytes arrived, or other ones", arrived.len(), bytes.len());
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn splice_and_tee_move_bytes() -> Outcome {
    std::fs::write("source", "spliced bytes")?;
    let source = std::fs::File::open("source")?;
    let (first_reader, first_writer) = pipe()?;
    let (second_reader, second_writer) = pipe()?;
    let none = nix::fcntl::SpliceFFlags::empty();
    check_eq!(nix::fcntl::splice(&source, None, &first_writer, None, 100, none)?, 13);
    check_eq!(nix::fcntl::tee(&first_reader, &second_writer, 7, none)?, 7);
    let mut buffer = [0; 20];
    check_eq!(read(&first_reader, &mut buffer)?, 13);
    check_eq!(&buffer[..13], b"spliced bytes");
    check_eq!(read(&second_reader, &mut buffer)?, 7);
    check_eq!(&buffer[..7], b"spliced");
    Ok(())
}
