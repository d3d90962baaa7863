//! The initramfs: `/init`, the mount points that it needs, and a console node; a cpio archive in the "newc" format
//! (<https://www.kernel.org/doc/html/latest/driver-api/early-userspace/buffer-format.html>).
//!
//! Not compressed: the image stays far below its limit of 16 MiB anyway, and inflating it would lengthen every boot.

use cpio::newc::{self, Builder};

use crate::Error;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Everything but `/init`, in the order of the archive (a directory before what is in it).
const LAYOUT: [Entry; 8] = [
    Entry::directory("dev", 0o755),
    Entry::device("dev/console", 0o600, 5, 1),
    Entry::directory("etc", 0o755),
    Entry::directory("proc", 0o555),
    Entry::directory("root", 0o700),
    Entry::directory("run", 0o755),
    Entry::directory("sys", 0o555),
    Entry::directory("tmp", 0o1777),
];

struct Entry {
    name: &'static str,
    mode: u32,
    device: (u32, u32),
}

impl Entry {
    const fn directory(name: &'static str, permissions: u32) -> Self {
        Self { name, mode: DIRECTORY | permissions, device: (0, 0) }
    }

    const fn device(name: &'static str, permissions: u32, major: u32, minor: u32) -> Self {
        Self { name, mode: CHARACTER_DEVICE | permissions, device: (major, minor) }
    }
}

/// Writes an initramfs whose `/init` has the bytes `init`. Owner root, time stamp 0, inode numbers counted from 1.
///
/// # Errors
/// If `init` is not smaller than 4 GiB, the limit of the format.
pub fn build(init: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Vec::with_capacity(init.len() + 4096);
    let mut inode = 1;
    for entry in &LAYOUT {
        let links = if entry.mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let header = header(entry.name, inode, entry.mode, links);
        let header = header.rdev_major(entry.device.0).rdev_minor(entry.device.1);
        append(&mut archive, header, &[])?;
        inode += 1;
    }
    append(&mut archive, header("init", inode, REGULAR | 0o755, 1), init)?;
    newc::trailer(&mut archive).map_err(Error::write("the initramfs"))?;
    Ok(archive)
}

fn header(name: &str, inode: u32, mode: u32, links: u32) -> Builder {
    Builder::new(name).ino(inode).mode(mode).uid(0).gid(0).nlink(links).mtime(0)
}

fn append(archive: &mut Vec<u8>, header: Builder, data: &[u8]) -> Result<(), Error> {
    let size = u32::try_from(data.len()).map_err(|_| Error::TooLarge {
        part: "the runtime binary",
        size: data.len() as u64,
        room: u64::from(u32::MAX),
    })?;
    let mut writer = header.write(archive, size);
    std::io::Write::write_all(&mut writer, data).map_err(Error::write("the initramfs"))?;
    writer.finish().map_err(Error::write("the initramfs"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::build;

    #[test]
    fn every_entry_reads_back() {
        let archive = build(b"#!init").unwrap();
        let mut rest = archive.as_slice();
        let mut names = Vec::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            let entry = reader.entry().clone();
            if entry.is_trailer() {
                break;
            }
            let mut data = Vec::new();
            reader.read_to_end(&mut data).unwrap();
            match entry.name() {
                "init" => assert_eq!((entry.mode(), data.as_slice()), (0o100_755, b"#!init".as_slice())),
                "dev/console" => assert_eq!((entry.rdev_major(), entry.rdev_minor()), (5, 1)),
                "tmp" => assert_eq!(entry.mode(), 0o041_777),
                _ => assert_eq!(entry.mtime(), 0),
            }
            names.push(entry.name().to_owned());
            rest = reader.finish().unwrap();
        }
        assert_eq!(names, ["dev", "dev/console", "etc", "proc", "root", "run", "sys", "tmp", "init"]);
    }

    #[test]
    fn same_input_gives_same_bytes() {
        assert_eq!(build(b"x").unwrap(), build(b"x").unwrap());
    }
}
