//! Archives that are as they should be, and archives that lie.

use super::{Entries, Error};
use std::format;
use std::vec::Vec;

fn entry(magic: &str, name: &[u8], mode: u32, data: &[u8], checksum: u32) -> Vec<u8> {
    let name_len = name.len() + 1;
    let mut bytes = format!(
        "{magic}{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{name_len:08x}{checksum:08x}",
        7, 1, 2, 1, 99, data.len(), 0, 0, 5, 1
    )
    .into_bytes();
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn newc(name: &[u8], data: &[u8]) -> Vec<u8> {
    entry("070701", name, 0o100_644, data, 0)
}

fn first_error(bytes: &[u8]) -> Option<Error> {
    Entries::new(bytes).find_map(Result::err)
}

#[test]
fn entries_come_with_all_fields() {
    let bytes = newc(b"etc/hosts", b"localhost");
    let all: Vec<_> = Entries::new(&bytes).collect();
    let [Ok(entry)] = all[..] else { panic!("{all:?}") };
    assert_eq!(entry.name, b"etc/hosts");
    assert_eq!(entry.data, b"localhost");
    assert_eq!((entry.ino, entry.mode, entry.uid, entry.gid), (7, 0o100_644, 1, 2));
    assert_eq!((entry.links, entry.modified, entry.device), (1, 99, (5, 1)));
}

#[test]
fn archives_follow_each_other() {
    let mut bytes = newc(b"a", b"1");
    bytes.extend(newc(b"TRAILER!!!", b""));
    bytes.resize(512, 0);
    bytes.extend(newc(b"b", b""));
    bytes.extend(newc(b"TRAILER!!!", b""));
    let names: Vec<_> = Entries::new(&bytes).map(|e| e.expect("good").name).collect();
    assert_eq!(names, [b"a", b"b"]);
}

#[test]
fn nothing_and_padding_are_empty_archives() {
    assert_eq!(Entries::new(&[]).count(), 0);
    assert_eq!(Entries::new(&[0; 100]).count(), 0);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = newc(b"name", b"some data");
    let whole = bytes.len() - 3; // the padding at the end may be missing
    for len in 1..whole {
        assert_eq!(first_error(&bytes[..len]), Some(Error::Truncated), "{len}");
    }
    assert_eq!(first_error(&bytes[..whole]), None);
}

#[test]
fn lengths_beyond_the_archive_are_refused() {
    let mut bytes = newc(b"name", b"data");
    bytes[54..62].copy_from_slice(b"ffffffff");
    assert_eq!(first_error(&bytes), Some(Error::Truncated));
    let mut bytes = newc(b"name", b"data");
    bytes[94..102].copy_from_slice(b"00000ff0");
    assert_eq!(first_error(&bytes), Some(Error::Truncated));
}

#[test]
fn bad_names_are_refused() {
    for len in [b"00000000", b"00000001", b"00001001", b"ffffffff"] {
        let mut bytes = newc(b"name", b"");
        bytes[94..102].copy_from_slice(len);
        assert_eq!(first_error(&bytes), Some(Error::BadName));
    }
    assert_eq!(first_error(&newc(b"a\0b", b"")), Some(Error::BadName));
    let mut unterminated = newc(b"name", b"");
    unterminated[114] = b'x';
    assert_eq!(first_error(&unterminated), Some(Error::BadName));
}

#[test]
fn other_formats_and_bad_digits_are_refused() {
    assert_eq!(first_error(&entry("070707", b"a", 0, b"", 0)), Some(Error::BadMagic));
    assert_eq!(first_error(&[0x1f; 200]), Some(Error::BadMagic));
    let mut bytes = newc(b"name", b"");
    bytes[10] = b'-';
    assert_eq!(first_error(&bytes), Some(Error::BadNumber));
}

#[test]
fn checksums_are_verified() {
    assert_eq!(first_error(&entry("070702", b"a", 0, &[1, 2, 250], 253)), None);
    assert_eq!(first_error(&entry("070702", b"a", 0, &[1, 2, 250], 252)), Some(Error::BadChecksum));
}

#[test]
fn the_first_error_ends_the_walk() {
    let mut bytes = newc(b"a", b"");
    bytes.extend_from_slice(&[b'x'; 300]);
    let all: Vec<_> = Entries::new(&bytes).collect();
    assert_eq!(all.len(), 2);
    assert!(all[1].is_err());
}
