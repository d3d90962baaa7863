//! The line discipline: termios(3).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{
    FlushArg, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, tcflush,
    tcgetattr, tcsetattr,
};

use crate::case::{Outcome, cases, check, check_eq};

cases!("tty":
    canonical_mode_gives_whole_lines,
    erase_and_kill_edit_the_line,
    end_of_file_ends_a_read,
    what_is_typed_is_echoed,
    output_newlines_become_pairs,
    input_returns_become_newlines,
    settings_read_back,
    raw_reads_obey_min_and_time,
    flushing_drops_what_was_typed,
);

fn pair(change: impl FnOnce(&mut Termios)) -> nix::Result<(File, File)> {
    let OpenptyResult { master, slave } = openpty(None, None)?;
    let mut settings = tcgetattr(&slave)?;
    change(&mut settings);
    tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
    Ok((File::from(master), File::from(slave)))
}

fn quiet(settings: &mut Termios) {
    settings.local_flags.remove(LocalFlags::ECHO);
}

fn has_input(file: &File) -> nix::Result<bool> {
    Ok(poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], 50_u8)? == 1)
}

fn text(file: &mut File) -> std::io::Result<String> {
    let mut buffer = [0; 256];
    let count = file.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

fn canonical_mode_gives_whole_lines() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    master.write_all(b"half")?;
    check!(!has_input(&slave)?, "half a line can be read");
    master.write_all(b" a line\nnext\n")?;
    check!(has_input(&slave)?);
    check_eq!(text(&mut slave)?, "half a line\n");
    let mut two = [0; 2];
    check_eq!(slave.read(&mut two)?, 2);
    check_eq!(text(&mut slave)?, "xt\n");
    Ok(())
}

fn erase_and_kill_edit_the_line() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    master.write_all(b"abx\x7fc\n")?;
    check_eq!(text(&mut slave)?, "abc\n");
    master.write_all(b"gone\x15kept\n")?;
    check_eq!(text(&mut slave)?, "kept\n");
    master.write_all(b"one two\x17three\n")?;
    check_eq!(text(&mut slave)?, "one three\n");
    Ok(())
}

fn end_of_file_ends_a_read() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    master.write_all(b"text\x04")?;
    check_eq!(text(&mut slave)?, "text");
    master.write_all(b"\x04")?;
    check_eq!(slave.read(&mut [0; 4])?, 0);
    Ok(())
}

fn what_is_typed_is_echoed() -> Outcome {
    let (mut master, mut slave) = pair(|_| {})?;
    master.write_all(b"hi\n")?;
    check_eq!(text(&mut master)?, "hi\r\n");
    check_eq!(text(&mut slave)?, "hi\n");
    master.write_all(b"\x01")?;
    check_eq!(text(&mut master)?, "^A");
    Ok(())
}

fn output_newlines_become_pairs() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    slave.write_all(b"a\nb\n")?;
    check_eq!(text(&mut master)?, "a\r\nb\r\n");
    let (mut master, mut slave) = pair(|settings| settings.output_flags.remove(OutputFlags::OPOST))?;
    slave.write_all(b"a\nb\n")?;
    check_eq!(text(&mut master)?, "a\nb\n");
    Ok(())
}

fn input_returns_become_newlines() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    master.write_all(b"x\r")?;
    check_eq!(text(&mut slave)?, "x\n");
    let (mut master, mut slave) = pair(|settings| {
        quiet(settings);
        settings.input_flags.remove(InputFlags::ICRNL);
    })?;
    master.write_all(b"x\r\n")?;
    check_eq!(text(&mut slave)?, "x\r\n");
    Ok(())
}

fn settings_read_back() -> Outcome {
    let (_master, slave) = pair(|_| {})?;
    let settings = tcgetattr(&slave)?;
    check!(
        settings
            .local_flags
            .contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN)
    );
    check!(settings.input_flags.contains(InputFlags::ICRNL));
    check!(settings.output_flags.contains(OutputFlags::OPOST | OutputFlags::ONLCR));
    let expected = [
        (SpecialCharacterIndices::VINTR, 3),
        (SpecialCharacterIndices::VEOF, 4),
        (SpecialCharacterIndices::VERASE, 0x7f),
        (SpecialCharacterIndices::VSUSP, 26),
        (SpecialCharacterIndices::VQUIT, 28),
    ];
    for (index, character) in expected {
        check_eq!(settings.control_chars[index as usize], character);
    }
    Ok(())
}

fn raw_reads_obey_min_and_time() -> Outcome {
    let (mut master, mut slave) = pair(|settings| {
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    })?;
    check_eq!(slave.read(&mut [0; 4])?, 0);
    master.write_all(b"ab")?;
    check!(has_input(&slave)?);
    check_eq!(text(&mut slave)?, "ab");
    let mut settings = tcgetattr(&slave)?;
    settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 1;
    tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
    let start = std::time::Instant::now();
    check_eq!(slave.read(&mut [0; 4])?, 0);
    check!(start.elapsed() >= std::time::Duration::from_millis(80), "after {:?}", start.elapsed());
    Ok(())
}

fn flushing_drops_what_was_typed() -> Outcome {
    let (mut master, mut slave) = pair(quiet)?;
    master.write_all(b"dropped\n")?;
    check!(has_input(&slave)?);
    tcflush(&slave, FlushArg::TCIFLUSH)?;
    master.write_all(b"kept\n")?;
    check_eq!(text(&mut slave)?, "kept\n");
    Ok(())
}
