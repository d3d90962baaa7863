//! The reader against what GNU tar and the `tar` crate write, and against noise.

use std::process::Command;

use proptest::prelude::*;

use super::{Error, Kind, Reader, Stream};
use crate::testing::Archive;

/// Every entry's path, size and data (holes as zeroes).
fn read(bytes: &[u8]) -> Result<Vec<(String, u64, Vec<u8>)>, Error> {
    let mut reader = Reader::new(Stream(bytes));
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = vec![0; usize::try_from(entry.size).unwrap_or_default().min(1 << 24)];
        if entry.kind == Kind::File {
            reader.copy_data(|offset, bytes| {
                if let Some(place) = data.get_mut(offset as usize..offset as usize + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
                Ok(())
            })?;
        }
        entries.push((String::from_utf8_lossy(&entry.path).into_owned(), entry.size, data));
    }
    Ok(entries)
}

#[test]
fn gnu_tars_formats_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let long = "directory-with-a-long-name/".repeat(12);
    std::fs::create_dir_all(folder.path().join(&long)).unwrap();
    std::fs::write(folder.path().join(&long).join("file"), "data").unwrap();
    let mut sparse = vec![0_u8; 3 << 20];
    for at in (0..sparse.len()).step_by(256 << 10) {
        sparse[at..at + 4].copy_from_slice(b"data");
    }
    std::fs::write(folder.path().join("full"), &sparse).unwrap();
    let dug =
        Command::new("cp").args(["--sparse=always", "full", "sparse"]).current_dir(folder.path()).status();
    assert!(dug.unwrap().success());

    for format in ["gnu", "posix", "posix --sparse-version=0.0", "posix --sparse-version=0.1"] {
        let mut command = Command::new("tar");
        command.current_dir(folder.path()).args(["--sparse", "-cf", "-"]);
        command.args(format!("--format={format}").split(' ')).args(["sparse", &format!("{long}file")]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.len() < 1 << 20, "{format}: GNU tar found no holes");
        let entries = read(&output.stdout).unwrap();
        assert_eq!(entries.len(), 2, "{format}");
        assert_eq!((entries[0].0.as_str(), entries[0].1), ("sparse", 3 << 20), "{format}");
        assert!(entries[0].2 == sparse, "{format}: contents differ");
        assert_eq!(
            (entries[1].0.as_str(), entries[1].2.as_slice()),
            (format!("{long}file").as_str(), &b"data"[..])
        );
    }
}

#[test]
fn extensions_are_limited() {
    let mut archive = Archive::default().entry(tar::EntryType::GNULongName, "x", "", b"", |header| {
        header.set_size(1 << 40);
    });
    assert!(matches!(read(&archive.finish()), Err(Error::ExtensionTooLarge(_))));
    archive = Archive::default().pax(&[("size", "99999999999999999999999")]).file("a", "");
    assert!(read(&archive.finish()).is_err());
    archive =
        Archive::default().pax(&[("GNU.sparse.map", "0,5,3,9"), ("GNU.sparse.size", "50")]).file("a", "x");
    assert!(matches!(read(&archive.finish()), Err(Error::Sparse)));
    archive = Archive::default().pax(&[("size", "18446744073709551615")]).file("a", "");
    assert!(read(&archive.finish()).is_err());
}

proptest! {
    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read(&bytes);
    }

    /// Single bytes of a good archive changed, checksums made right again.
    #[test]
    fn damage_is_survived(changes in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..8)) {
        let records = [("path", "abc"), ("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9000")];
        let mut bytes = Archive::default().pax(&records).file("a", "1\n0\n512\n").file("b", "data").finish();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        for block in bytes.as_chunks_mut::<512>().0 {
            if block.starts_with(b"\0") {
                continue;
            }
            let sum: u64 = block.iter().enumerate()
                .map(|(index, &byte)| if (148..156).contains(&index) { 32 } else { u64::from(byte) })
                .sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = read(&bytes);
    }
}
