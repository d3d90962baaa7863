use std::io::{Cursor, Write as _};
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn read_bytes(volume: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    read(Cursor::new(volume))
}

#[test]
fn what_is_written_reads_back() {
    let text = "# long\n".repeat(30_000);
    for text in ["", "mode = \"open\"\n", &text] {
        assert_eq!(read_bytes(&write(text).unwrap()).unwrap().unwrap(), text.as_bytes());
    }
    assert!(matches!(write(&" ".repeat(SIZE_LIMIT + 1)), Err(Error::TooLarge { .. })));
}

#[test]
fn other_disks_are_passed_over() {
    let mut other_label = write("").unwrap();
    for at in 0..other_label.len() - 6 {
        if &other_label[at..at + 6] == b"CIDATA" {
            other_label[at..at + 6].copy_from_slice(b"COFFER");
        }
    }
    let mut with_signature = vec![0; 1 << 20];
    with_signature[510..512].copy_from_slice(&[0x55, 0xaa]);
    for disk in [&[][..], &[0; 511], &[0xff; 1 << 16], &with_signature, &other_label] {
        assert!(read_bytes(disk).unwrap().is_none());
    }
}

#[test]
fn a_volume_without_the_file_is_an_error() {
    let mut volume = write("x").unwrap();
    let at = volume.windows(6).rposition(|window| window == b"COFFER").unwrap();
    // The mark of a removed entry.
    volume[at] = 0xe5;
    assert!(matches!(read_bytes(&volume), Err(Error::Volume(_))));
}

#[test]
fn iso_volumes_of_every_kind_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("content");
    fs::create_dir(&content).unwrap();
    fs::write(content.join("coffer.toml"), "hostname = \"iso\"\n").unwrap();
    fs::write(content.join("meta-data"), "").unwrap();
    let kinds: [&[&str]; 4] = [&[], &["-J"], &["-R"], &["-J", "-R", "-iso-level", "3"]];
    for kind in kinds {
        let image = folder.path().join("image.iso");
        let made = Command::new("xorriso")
            .args(["-as", "mkisofs", "-quiet", "-V", "cidata"])
            .args(kind)
            .arg("-o")
            .arg(&image)
            .arg(&content)
            .output();
        let Ok(output) = made else {
            // No test of ours, then: the standard error of a passing test is not shown, so it is written past the harness.
            let _unseen = writeln!(std::io::stderr(), "skipped: xorriso is not installed");
            return;
        };
        assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
        let bytes = fs::read(&image).unwrap();
        assert_eq!(read_bytes(&bytes).unwrap().unwrap(), b"hostname = \"iso\"\n", "{kind:?}");
    }
}

#[test]
fn the_first_disk_with_the_label_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let [block, devices] = ["block", "dev"].map(|name| folder.path().join(name));
    for name in ["loop0", "vda", "vdb", "vdc"] {
        fs::create_dir_all(block.join(name)).unwrap();
    }
    fs::create_dir(&devices).unwrap();
    fs::write(devices.join("loop0"), write("loop").unwrap()).unwrap();
    fs::write(devices.join("vdb"), write("b").unwrap()).unwrap();
    fs::write(devices.join("vdc"), write("c").unwrap()).unwrap();
    assert_eq!(find(&block, &devices).unwrap().unwrap(), (devices.join("vdb"), b"b".to_vec()));
    assert!(find(&folder.path().join("none"), &devices).unwrap().is_none());
}

/// A small volume with a primary descriptor and one file, for mutation.
fn iso() -> Vec<u8> {
    let record = |sector: u32, len: u32, flags: u8, name: &[u8]| {
        let mut record = vec![0; 33 + name.len() + (name.len() + 1) % 2];
        record[0] = record.len() as u8;
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&len.to_le_bytes());
        record[25] = flags;
        record[32] = name.len() as u8;
        record[33..33 + name.len()].copy_from_slice(name);
        record
    };
    let mut volume = vec![0; 20 * SECTOR];
    let descriptor = 16 * SECTOR;
    volume[descriptor] = 1;
    volume[descriptor + 1..descriptor + 6].copy_from_slice(b"CD001");
    volume[descriptor + 40..descriptor + 72].fill(b' ');
    volume[descriptor + 40..descriptor + 46].copy_from_slice(b"cidata");
    volume[descriptor + 156..descriptor + 190].copy_from_slice(&record(18, 2048, 2, &[0]));
    let file = record(19, 2, 0, b"COFFER.TOML;1");
    volume[18 * SECTOR..18 * SECTOR + file.len()].copy_from_slice(&file);
    volume[19 * SECTOR..19 * SECTOR + 2].copy_from_slice(b"ok");
    volume
}

const SECTOR: usize = 2048;

#[test]
fn a_minimal_iso_volume_is_read() {
    assert_eq!(read_bytes(&iso()).unwrap().unwrap(), b"ok");
}

#[test]
fn clusters_in_a_circle_end() {
    let mut volume = write(&"x".repeat(100 << 10)).unwrap();
    // Every FAT12 entry leads to cluster 2.
    let table = 512..512 + 9 * 512;
    for (at, byte) in volume[table].iter_mut().enumerate() {
        *byte = [0x02, 0x20, 0x00][at % 3];
    }
    // The file's size is what ends the reading here; without a size the budget does.
    let _either = read_bytes(&volume);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_volumes_are_refused_or_read(
        is_iso: bool,
        changes in prop::collection::vec((0_usize..40_960, any::<u8>()), 1..12),
        near_start: bool,
    ) {
        let mut volume = if is_iso { iso() } else { write("mode = \"open\"\n").unwrap() };
        for (at, byte) in changes {
            let at = match (is_iso, near_start) {
                (true, true) => 16 * SECTOR + at % 200,
                (true, false) => 18 * SECTOR + at % 64,
                (false, true) => at % 512,
                (false, false) => at % (20 << 10),
            };
            volume[at] = byte;
        }
        let _either = read_bytes(&volume);
    }
}
