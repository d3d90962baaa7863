//! A fixed virtual hard disk: the disk, then a footer of one sector (Microsoft's "Virtual Hard Disk Image Format Specification", 1.0).
//!
//! Azure wants a whole number of MiB, which the disk has by construction.

use super::{DISK_LIMIT, be32, be64};
use crate::{Error, identity};

const FOOTER: usize = 512;
const COOKIE: &[u8; 8] = b"conectix";
const ALIGNMENT: usize = 1 << 20;
/// "Temporary" is the only feature that there is; the second bit is reserved and always set.
const FEATURES: u32 = 2;
const VERSION: u32 = 0x0001_0000;
/// A fixed disk has no header of a dynamic one.
const NO_HEADER: u64 = u64::MAX;
/// Who wrote it. Readers take the size from the footer only if they know the creator, and compute it from the geometry otherwise, which
/// cannot express most sizes; this one, Windows itself, all of them know.
const CREATOR: &[u8; 4] = b"win ";
const CREATOR_VERSION: u32 = 0x000a_0000;
const HOST_SYSTEM: &[u8; 4] = b"Wi2k";
const FIXED: u32 = 2;
const CHECKSUM: usize = 64;

/// Whether a file ends as a fixed disk does.
#[must_use]
pub fn is_vhd(file: &[u8]) -> bool {
    footer(file).is_some_and(|footer| footer.starts_with(COOKIE))
}

/// Writes `disk` as a VHD. Its time stamp is zero (2000-01-01), its identifier follows from the disk.
///
/// # Errors
/// If the disk is not a whole number of MiB.
pub fn write(disk: &[u8]) -> Result<Vec<u8>, Error> {
    if !disk.len().is_multiple_of(ALIGNMENT) {
        return Err(bad("the disk is not a whole number of MiB"));
    }
    let size = disk.len() as u64;
    let mut footer = Vec::with_capacity(FOOTER);
    footer.extend(COOKIE);
    footer.extend(FEATURES.to_be_bytes());
    footer.extend(VERSION.to_be_bytes());
    footer.extend(NO_HEADER.to_be_bytes());
    footer.extend(0_u32.to_be_bytes());
    footer.extend(CREATOR);
    footer.extend(CREATOR_VERSION.to_be_bytes());
    footer.extend(HOST_SYSTEM);
    footer.extend(size.to_be_bytes());
    footer.extend(size.to_be_bytes());
    footer.extend(geometry(size / 512));
    footer.extend(FIXED.to_be_bytes());
    footer.extend(0_u32.to_be_bytes());
    footer.extend(identity::guid("coffer vhd", disk).as_bytes());
    footer.resize(FOOTER, 0);
    let sum = checksum(&footer);
    footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());

    let mut file = disk.to_vec();
    file.extend(footer);
    Ok(file)
}

/// The disk in a fixed VHD.
///
/// # Errors
/// If the footer is missing, damaged, or of another kind of disk.
pub fn read(file: &[u8]) -> Result<Vec<u8>, Error> {
    let footer = footer(file).filter(|footer| footer.starts_with(COOKIE)).ok_or_else(|| bad("no footer"))?;
    if be32(footer, CHECKSUM) != Some(checksum(footer)) {
        return Err(bad("the footer's checksum is wrong"));
    }
    if be32(footer, 60) != Some(FIXED) {
        return Err(bad("not a fixed disk"));
    }
    let size = be64(footer, 48).unwrap_or_default();
    if size > DISK_LIMIT || size != (file.len() - FOOTER) as u64 {
        return Err(bad("the size in the footer is not the disk's"));
    }
    Ok(file[..file.len() - FOOTER].to_vec())
}

fn footer(file: &[u8]) -> Option<&[u8]> {
    file.get(file.len().checked_sub(FOOTER)?..)
}

/// The one's complement of the sum of all bytes but its own.
fn checksum(footer: &[u8]) -> u32 {
    let own = CHECKSUM..CHECKSUM + 4;
    !footer
        .iter()
        .enumerate()
        .filter(|(index, _)| !own.contains(index))
        .fold(0_u32, |sum, (_, &byte)| sum.wrapping_add(u32::from(byte)))
}

/// Cylinders (two bytes), heads and sectors per track, by the specification's appendix; at least as wrong as all geometries.
fn geometry(sectors: u64) -> [u8; 4] {
    let total = sectors.min(65_535 * 16 * 255);
    let (per_track, heads, tracks) = if total >= 65_535 * 16 * 63 {
        (255, 16, total / 255)
    } else {
        let mut per_track = 17;
        let mut tracks = total / per_track;
        let mut heads = tracks.div_ceil(1024).max(4);
        if tracks >= heads * 1024 || heads > 16 {
            (per_track, heads) = (31, 16);
            tracks = total / per_track;
        }
        if tracks >= heads * 1024 {
            (per_track, heads) = (63, 16);
            tracks = total / per_track;
        }
        (per_track, heads, tracks)
    };
    let cylinders = u16::try_from(tracks / heads).unwrap_or(u16::MAX).to_be_bytes();
    [cylinders[0], cylinders[1], heads as u8, per_track as u8]
}

fn bad(reason: impl ToString) -> Error {
    Error::input("the VHD", reason)
}
