//! What Google Compute Engine imports: a gzip of a tar in the GNU format with one file, `disk.raw`, of a whole number of GiB
//! (<https://cloud.google.com/compute/docs/import/import-existing-image>). Behind the disk comes a hole up to there, which takes no room: the
//! file is marked as sparse (<https://www.gnu.org/software/tar/manual/html_node/Old-GNU-Format.html>), as Google's own instructions make it.
//! The backup of the partition table then does not stand at the end, as on every machine with a larger disk than the image has.
//!
//! The gzip (RFC 1952) is framed here around `miniz_oxide`, because `flate2` picks its compressor by the features that other crates of a
//! build ask for, and with it the bytes.

use std::io::Read as _;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::DISK_LIMIT;
use crate::Error;

/// The first bytes of a gzip.
pub const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const FILE: &str = "disk.raw";
/// Disks are whole numbers of this many bytes.
const UNIT: u64 = 1 << 30;
/// miniz's scale of 0 to 10: past this, holes and compiled code gain nothing.
const LEVEL: u8 = 6;
/// Magic, then: no flags, time stamp 0, no word on the level, written on Unix.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
/// CRC-32 and length, four bytes each.
const GZIP_TRAILER: usize = 8;
/// A tar's header, padding and end.
const TAR_OVERHEAD: usize = 4096;

/// Writes the archive. Owner root, time stamp 0, in the tar as in the gzip.
///
/// # Errors
/// If the disk is too large for the format.
pub fn write(disk: &[u8]) -> Result<Vec<u8>, Error> {
    let len = disk.len() as u64;
    let whole = len.next_multiple_of(UNIT);
    let mut header = tar::Header::new_gnu();
    header.set_path(FILE).map_err(Error::write("the tar"))?;
    header.set_size(len);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mtime(0);
    let gnu = header.as_gnu_mut().ok_or_else(|| bad("not a GNU header"))?;
    // Where there is data; the hole at the end is told of by a piece of no length behind it.
    for (piece, (offset, len)) in gnu.sparse.iter_mut().zip([(0, len), (whole, 0)]) {
        piece.offset = octal(offset);
        piece.numbytes = octal(len);
    }
    gnu.realsize = octal(whole);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::with_capacity(disk.len() + TAR_OVERHEAD));
    archive.append(&header, disk).map_err(Error::write("the tar"))?;
    let tar = archive.into_inner().map_err(Error::write("the tar"))?;

    let mut file = GZIP_HEADER.to_vec();
    file.extend(compress_to_vec(&tar, LEVEL));
    file.extend(crc32fast::hash(&tar).to_le_bytes());
    // The length modulo 2³², as the format has it.
    file.extend((tar.len() as u32).to_le_bytes());
    Ok(file)
}

/// The disk in such an archive.
///
/// # Errors
/// If the archive is damaged, has options that our writer does not use, or its first file is not `disk.raw`.
pub fn read(file: &[u8]) -> Result<Vec<u8>, Error> {
    let tar = gunzip(file)?;
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut entry =
        archive.entries().map_err(bad)?.next().ok_or_else(|| bad("the archive is empty"))?.map_err(bad)?;
    if entry.path_bytes().as_ref() != FILE.as_bytes() {
        return Err(bad("its first file is not disk.raw"));
    }
    let data =
        entry.header().as_gnu().and_then(|header| header.sparse.first()).filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| bad("disk.raw is not sparse"))?;
    let (offset, len) = (data.offset().map_err(bad)?, data.length().map_err(bad)?);
    if offset != 0 || len > DISK_LIMIT {
        return Err(bad("disk.raw does not begin with data, or has too much of it"));
    }
    let mut disk = Vec::new();
    entry.by_ref().take(len).read_to_end(&mut disk).map_err(bad)?;
    if disk.len() as u64 != len {
        return Err(bad("truncated"));
    }
    Ok(disk)
}

/// A number as a tar has it: octal digits and a zero.
fn octal(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    let digits = format!("{value:011o}");
    // More than eleven digits would be 8 GiB, and more than a disk may have.
    field[..11].copy_from_slice(digits.as_bytes().first_chunk::<11>().unwrap_or(&[b'7'; 11]));
    field
}

fn gunzip(file: &[u8]) -> Result<Vec<u8>, Error> {
    let body = file.strip_prefix(&GZIP_HEADER).ok_or_else(|| bad("not a gzip without options"))?;
    let (deflated, trailer) =
        body.split_at_checked(body.len().saturating_sub(GZIP_TRAILER)).ok_or_else(|| bad("truncated"))?;
    let limit = DISK_LIMIT as usize + TAR_OVERHEAD;
    let tar = decompress_to_vec_with_limit(deflated, limit).map_err(bad)?;
    let expected = [crc32fast::hash(&tar).to_le_bytes(), (tar.len() as u32).to_le_bytes()].concat();
    if trailer != expected {
        return Err(bad("its checksum is wrong"));
    }
    Ok(tar)
}

fn bad(reason: impl ToString) -> Error {
    Error::input("the archive", reason)
}
