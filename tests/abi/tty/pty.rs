//! Pseudo terminals: pty(7).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{isatty, ttyname};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("tty":
    a_pair_carries_bytes_both_ways,
    the_window_size_is_shared,
    a_terminal_has_a_name,
    closing_the_master_hangs_up,
    closing_the_last_slave_ends_the_master,
    a_file_is_not_a_terminal,
    pairs_are_numbered_anew,
);

/// A pair without any processing of what goes through.
pub fn raw_pair() -> nix::Result<(File, File)> {
    let OpenptyResult { master, slave } = openpty(None, None)?;
    let mut settings = tcgetattr(&slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
    Ok((File::from(master), File::from(slave)))
}

fn a_pair_carries_bytes_both_ways() -> Outcome {
    let (mut master, mut slave) = raw_pair()?;
    let mut buffer = [0; 16];
    master.write_all(b"typed")?;
    check_eq!(slave.read(&mut buffer)?, 5);
    slave.write_all(b"printed\n")?;
    check_eq!(master.read(&mut buffer)?, 8);
    check_eq!(&buffer[..8], b"printed\n");
    Ok(())
}

fn window_size(file: &File) -> Outcome<(u16, u16)> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call fills a live local.
    nix::errno::Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok((size.ws_row, size.ws_col))
}

fn the_window_size_is_shared() -> Outcome {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None)?;
    let (master, slave) = (File::from(master), File::from(slave));
    check_eq!(window_size(&slave)?, (24, 80));
    let size = Winsize { ws_row: 50, ws_col: 132, ..size };
    // SAFETY: the call reads a live local.
    nix::errno::Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    check_eq!((window_size(&slave)?, window_size(&master)?), ((50, 132), (50, 132)));
    Ok(())
}

fn a_terminal_has_a_name() -> Outcome {
    let (master, slave) = raw_pair()?;
    let name = ttyname(&slave)?;
    check!(name.starts_with("/dev/pts/"), "{name:?}");
    check!(std::fs::metadata(&name)?.file_type().is_char_device());
    check!(isatty(&slave)? && isatty(&master)?);
    let mut again = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&name)?;
    again.write_all(b"x")?;
    check_eq!((&master).read(&mut [0; 4])?, 1);
    Ok(())
}

fn closing_the_master_hangs_up() -> Outcome {
    let (master, mut slave) = raw_pair()?;
    drop(master);
    check_eq!(slave.read(&mut [0])?, 0);
    check_fails!(nix::unistd::write(&slave, b"x"), EIO);
    let mut polled = [PollFd::new(slave.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, 0_u8)?;
    check!(polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)));
    Ok(())
}

fn closing_the_last_slave_ends_the_master() -> Outcome {
    let (mut master, mut slave) = raw_pair()?;
    slave.write_all(b"last")?;
    drop(slave);
    check_eq!(master.read(&mut [0; 8])?, 4);
    check_fails!(nix::unistd::read(&master, &mut [0; 8]), EIO);
    Ok(())
}

fn a_file_is_not_a_terminal() -> Outcome {
    let file = File::create("file")?;
    check_fails!(tcgetattr(&file), ENOTTY);
    check!(!isatty(&file).unwrap_or(false));
    let (reader, _writer) = nix::unistd::pipe()?;
    check_fails!(tcgetattr(&reader), ENOTTY);
    Ok(())
}

fn pairs_are_numbered_anew() -> Outcome {
    let (_first_master, first) = raw_pair()?;
    let (second_master, second) = raw_pair()?;
    let name = ttyname(&second)?;
    check!(ttyname(&first)? != name);
    drop((second_master, second));
    check_fails!(std::fs::metadata(&name), ENOENT);
    let (_master, third) = raw_pair()?;
    check_eq!(ttyname(&third)?, name);
    Ok(())
}
