//! FIFOs: fifo(7).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("pipe":
    a_fifo_joins_two_processes,
    opening_a_fifo_to_write_without_a_reader_fails_with_enxio,
    a_fifo_is_seen_as_one,
    a_pipe_opened_by_its_descriptor_waits_for_nobody,
);

fn a_fifo_joins_two_processes() -> Outcome {
    mkfifo("fifo", Mode::S_IRWXU)?;
    let child = child::fork(|| {
        let written =
            File::options().write(true).open("fifo").and_then(|mut file| file.write_all(b"through a name"));
        i32::from(written.is_err())
    })?;
    let mut text = String::new();
    File::open("fifo")?.read_to_string(&mut text)?;
    check_eq!(text, "through a name");
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn opening_a_fifo_to_write_without_a_reader_fails_with_enxio() -> Outcome {
    mkfifo("fifo", Mode::S_IRWXU)?;
    let open = || File::options().write(true).custom_flags(libc::O_NONBLOCK).open("fifo");
    check_fails!(open(), ENXIO);
    let _reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("fifo")?;
    check!(open().is_ok());
    Ok(())
}

fn a_fifo_is_seen_as_one() -> Outcome {
    mkfifo("fifo", Mode::S_IRWXU)?;
    check!(std::fs::metadata("fifo")?.file_type().is_fifo());
    check_fails!(mkfifo("fifo", Mode::S_IRWXU), EEXIST);
    Ok(())
}

fn a_pipe_opened_by_its_descriptor_waits_for_nobody() -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    let path = |end: &std::os::fd::OwnedFd| format!("/proc/self/fd/{}", end.as_raw_fd());
    // As `cat <(echo text)` does it: the writer is gone before the reader opens.
    nix::unistd::write(&writer, b"text")?;
    let second_writer = File::options().write(true).open(path(&writer))?;
    drop((writer, second_writer));
    let mut text = String::new();
    File::open(path(&reader))?.read_to_string(&mut text)?;
    check_eq!(text, "text");
    let (reader, writer) = nix::unistd::pipe()?;
    drop(reader);
    check_fails!(File::options().write(true).open(path(&writer))?.write_all(b"x"), EPIPE);
    Ok(())
}
