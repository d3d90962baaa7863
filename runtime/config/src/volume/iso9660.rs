//! ISO 9660 volumes (ECMA-119), with or without the Joliet names. By hand: one file in the root is all that is read, and
//! the crates for the format are young or write only.

use std::io::{self, Read, Seek};

use super::window::Window;
use super::{FILE, is_label};
use crate::{Error, SIZE_LIMIT};

const SECTOR: u64 = 2048;

/// Where the volume descriptors begin (ECMA-119, 6.7.1), and how many are looked at.
const FIRST_DESCRIPTOR: u64 = 16;
const DESCRIPTORS: u64 = 16;

/// How much of the root directory is looked at, in bytes.
const DIRECTORY_LIMIT: u64 = 64 << 10;

const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;

/// How names are written.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    /// Capitals, and a version: `COFFER.TOML;1`, or `COFFER.TOM;1` at level 1.
    Plain,
    /// Joliet: UCS-2, the higher byte first.
    Wide,
}

/// Bytes of the volume.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    len: u64,
}

/// The file's bytes. None when this is no ISO 9660 volume or has another label.
pub fn read(disk: &mut Window<impl Read + Seek>) -> Result<Option<Vec<u8>>, Error> {
    let mut roots = Vec::new();
    let mut has_label = false;
    for number in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + DESCRIPTORS {
        let mut descriptor = [0; SECTOR as usize];
        let is_there = disk.read_at(number * SECTOR, &mut descriptor).map_err(Error::Disk)?;
        if !is_there || descriptor.get(1..6) != Some(b"CD001") {
            break;
        }
        let names = match (descriptor[0], descriptor.get(88..91)) {
            (PRIMARY, _) => Names::Plain,
            (SUPPLEMENTARY, Some(b"%/@" | b"%/C" | b"%/E")) => Names::Wide,
            (TERMINATOR, _) => break,
            _ => continue,
        };
        has_label |= names == Names::Plain && descriptor.get(40..72).is_some_and(is_label);
        roots.extend(descriptor.get(156..190).and_then(extent).map(|root| (names, root)));
    }
    if !has_label {
        return Ok(None);
    }

    for (names, root) in roots {
        let mut directory = Vec::new();
        read_extent(disk, Extent { len: root.len.min(DIRECTORY_LIMIT), ..root }, &mut directory)?;
        let Some(file) = directory.chunks(SECTOR as usize).find_map(|sector| find(sector, names)) else {
            continue;
        };
        if file.len > SIZE_LIMIT as u64 {
            return Err(Error::TooLarge { limit: SIZE_LIMIT });
        }
        let mut bytes = Vec::new();
        read_extent(disk, file, &mut bytes)?;
        return Ok(Some(bytes));
    }
    Err(Error::Volume("it has no file `coffer.toml`"))
}

/// Appends the bytes of an extent whose length has been limited.
fn read_extent(
    disk: &mut Window<impl Read + Seek>,
    extent: Extent,
    bytes: &mut Vec<u8>,
) -> Result<(), Error> {
    let len = usize::try_from(extent.len).map_err(|_| Error::Volume("an extent is too long"))?;
    bytes.resize(len, 0);
    match disk.read_at(extent.start, bytes) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Disk(io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(Error::Disk(error)),
    }
}

/// Looks for the file in one sector of a directory; records do not cross sectors (ECMA-119, 6.8.1.1).
fn find(mut sector: &[u8], names: Names) -> Option<Extent> {
    const IS_DIRECTORY: u8 = 2;
    while let Some((record, rest)) = sector.first().and_then(|&len| sector.split_at_checked(len.into())) {
        let flags = record.get(25)?;
        let name_len = usize::from(*record.get(32)?);
        let name = record.get(33..33 + name_len)?;
        if flags & IS_DIRECTORY == 0 && is_the_file(name, names) {
            return extent(record);
        }
        sector = rest;
    }
    None
}

fn is_the_file(name: &[u8], names: Names) -> bool {
    /// What is left of the name with three letters after the dot, which is all that level 1 has.
    const SHORTENED: &str = "coffer.tom";
    let narrow: Vec<u8> = match names {
        Names::Plain => name.to_vec(),
        Names::Wide => {
            name.chunks(2).map(|pair| if pair.len() == 2 && pair[0] == 0 { pair[1] } else { b'?' }).collect()
        }
    };
    let name = narrow.split(|&byte| byte == b';').next().unwrap_or_default();
    name.eq_ignore_ascii_case(FILE.as_bytes()) || name.eq_ignore_ascii_case(SHORTENED.as_bytes())
}

/// Where the file of a directory record lies.
fn extent(record: &[u8]) -> Option<Extent> {
    let number =
        |at: usize| record.get(at..)?.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
    Some(Extent { start: number(2)?.checked_mul(SECTOR)?, len: number(10)? })
}
