use super::{Effects, INITIAL, INPUT_MAX, Key, LineDiscipline};
use alloc::string::String;
use alloc::vec::Vec;
use coffer_abi_types::tty::character::{VMIN, VTIME};
use coffer_abi_types::tty::input::{ICRNL, IUTF8};
use coffer_abi_types::tty::local::{ECHO, ICANON, NOFLSH};
use coffer_abi_types::tty::output::{OPOST, XTABS};
use coffer_abi_types::tty::termios2;

fn with(change: impl FnOnce(&mut termios2)) -> LineDiscipline {
    let mut settings = INITIAL;
    change(&mut settings);
    LineDiscipline::new(settings)
}

fn type_in(discipline: &mut LineDiscipline, bytes: &[u8]) -> Effects {
    let mut effects = Effects::default();
    discipline.receive(bytes, &mut effects);
    effects
}

fn echo(discipline: &mut LineDiscipline, bytes: &[u8]) -> String {
    String::from_utf8(type_in(discipline, bytes).echo).expect("echo of ASCII")
}

fn read(discipline: &mut LineDiscipline, len: usize) -> Option<Vec<u8>> {
    let mut out = alloc::vec![0; len];
    let len = discipline.take(&mut out)?;
    out.truncate(len);
    Some(out)
}

#[test]
fn half_a_line_cannot_be_read() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"half");
    assert!(!discipline.has_input());
    assert_eq!(read(&mut discipline, 9), None);
    type_in(&mut discipline, b" a line\nnext\n");
    assert_eq!(read(&mut discipline, 99).as_deref(), Some(&b"half a line\n"[..]));
    assert_eq!(read(&mut discipline, 2).as_deref(), Some(&b"ne"[..]));
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"xt\n"[..]));
    assert_eq!(read(&mut discipline, 9), None);
}

#[test]
fn end_of_file_ends_a_read_and_is_not_seen_twice() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"text\x04");
    assert_eq!(read(&mut discipline, 4).as_deref(), Some(&b"text"[..]));
    assert_eq!(read(&mut discipline, 4), None);
    type_in(&mut discipline, b"\x04");
    assert_eq!(read(&mut discipline, 4).as_deref(), Some(&b""[..]));
    assert_eq!(read(&mut discipline, 4), None);
}

#[test]
fn lines_are_edited() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"abx\x7fc\ngone\x15kept\none two\x17three\n");
    for line in ["abc\n", "kept\n", "one three\n"] {
        assert_eq!(read(&mut discipline, 99).as_deref(), Some(line.as_bytes()));
    }
}

#[test]
fn erasing_never_leaves_the_line() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"first\n");
    assert_eq!(echo(&mut discipline, b"\x7f\x15\x17"), "");
    assert_eq!(discipline.input_len(), 6);
}

#[test]
fn erased_columns_are_wiped() {
    let mut discipline = with(|_| {});
    assert_eq!(echo(&mut discipline, b"a\x01"), "a^A");
    assert_eq!(echo(&mut discipline, b"\x7f"), "\x08 \x08\x08 \x08");
    assert_eq!(echo(&mut discipline, b"\t"), "\t");
    assert_eq!(echo(&mut discipline, b"\x7f"), "\x08 \x08".repeat(7));
    assert_eq!(echo(&mut discipline, b"\x15"), "\x08 \x08");
}

#[test]
fn a_character_of_several_bytes_is_erased_as_one() {
    let mut discipline = with(|settings| settings.c_iflag |= IUTF8);
    type_in(&mut discipline, "aä".as_bytes());
    assert_eq!(echo(&mut discipline, b"\x7f"), "\x08 \x08");
    type_in(&mut discipline, b"\n");
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"a\n"[..]));
}

#[test]
fn keys_send_signals_and_drop_what_was_typed() {
    let mut discipline = with(|_| {});
    let effects = type_in(&mut discipline, b"typed\x03");
    assert_eq!(effects.keys, [Key::Interrupt]);
    assert!(effects.flushes_output);
    assert_eq!(effects.echo, b"^C");
    assert_eq!(discipline.input.len(), 0);
    let mut discipline = with(|settings| settings.c_lflag |= NOFLSH);
    let effects = type_in(&mut discipline, b"a\x1cb\x1a");
    assert_eq!(effects.keys, [Key::Quit, Key::Suspend]);
    assert_eq!(discipline.input, b"ab");
}

#[test]
fn a_literal_key_is_text() {
    let mut discipline = with(|_| {});
    let effects = type_in(&mut discipline, b"\x16\x03\n");
    assert!(effects.keys.is_empty());
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"\x03\n"[..]));
}

#[test]
fn raw_input_counts_bytes() {
    let mut discipline = with(|settings| {
        settings.c_lflag &= !(ICANON | ECHO);
        settings.c_cc[VMIN] = 3;
    });
    type_in(&mut discipline, b"ab");
    assert!(!discipline.has_input());
    type_in(&mut discipline, b"c");
    assert!(discipline.has_input());
    let mut settings = *discipline.settings();
    settings.c_cc[VTIME] = 1;
    discipline.set_settings(settings);
    assert_eq!(read(&mut discipline, 2).as_deref(), Some(&b"ab"[..]));
    assert!(discipline.has_input());
}

#[test]
fn input_survives_a_change_of_mode() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"half");
    let raw = termios2 { c_lflag: INITIAL.c_lflag & !ICANON, ..INITIAL };
    discipline.set_settings(raw);
    assert_eq!(discipline.input_len(), 4);
    discipline.set_settings(INITIAL);
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"half"[..]));
}

#[test]
fn a_line_that_is_too_long_can_still_be_ended() {
    let mut discipline = with(|settings| settings.c_lflag &= !ECHO);
    type_in(&mut discipline, &[b'x'; INPUT_MAX * 2]);
    type_in(&mut discipline, b"\n");
    assert_eq!(read(&mut discipline, INPUT_MAX * 2).map(|line| line.len()), Some(INPUT_MAX));
}

#[test]
fn raw_input_that_finds_no_room_is_left_to_the_sender() {
    let mut discipline = with(|settings| settings.c_lflag &= !(ICANON | ECHO));
    let taken = discipline.receive(&[b'x'; INPUT_MAX * 2], &mut Effects::default());
    assert_eq!(taken, INPUT_MAX - 1);
    assert!(!discipline.has_room());
}

#[test]
fn returns_become_newlines_if_wanted() {
    let mut discipline = with(|_| {});
    type_in(&mut discipline, b"x\r");
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"x\n"[..]));
    let mut discipline = with(|settings| settings.c_iflag &= !ICRNL);
    type_in(&mut discipline, b"x\r\n");
    assert_eq!(read(&mut discipline, 9).as_deref(), Some(&b"x\r\n"[..]));
}

#[test]
fn output_is_processed_as_asked() {
    let printed = |discipline: &mut LineDiscipline| {
        let mut out = Vec::new();
        discipline.print(b"a\tb\n", &mut out);
        out
    };
    assert_eq!(printed(&mut with(|_| {})), b"a\tb\r\n");
    assert_eq!(printed(&mut with(|settings| settings.c_oflag &= !OPOST)), b"a\tb\n");
    assert_eq!(printed(&mut with(|settings| settings.c_oflag |= XTABS)), b"a       b\r\n");
}

#[test]
fn stop_and_start_hold_output() {
    let mut discipline = with(|_| {});
    assert_eq!(type_in(&mut discipline, b"\x13").output_stop, Some(true));
    assert!(discipline.is_output_stopped());
    assert_eq!(type_in(&mut discipline, b"\x11").output_stop, Some(false));
    assert!(!discipline.is_output_stopped());
}
