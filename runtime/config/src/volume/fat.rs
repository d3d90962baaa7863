//! FAT volumes, by `fatfs`.

use std::io::{Cursor, Read, Seek, Write as _};

use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use super::window::Window;
use super::{FILE, LABEL, is_label, take_file};
use crate::Error;

/// Size of a written volume in bytes: a floppy disk's, with room for the longest configuration.
const SIZE: usize = 1440 << 10;

/// Sectors of this size and no other: the size of a virtual disk's blocks.
const SECTOR: u16 = 512;

/// Whether this is a FAT volume at all: the boot sector's signature and the fields that say how the volume is laid out, each in
/// the range that the format allows. `fatfs` checks most of it and computes with the rest.
pub fn is_one(disk: &mut Window<impl Read + Seek>) -> bool {
    let mut sector = [0; SECTOR as usize];
    if !matches!(disk.read_at(0, &mut sector), Ok(true)) {
        return false;
    }
    let short =
        |at: usize| sector.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let long = |at: usize| u32::from(short(at + 2)) << 16 | u32::from(short(at));
    let (sectors_per_cluster, tables) = (sector[13], sector[16]);
    let table_sectors = if short(22) == 0 { long(36) } else { u32::from(short(22)) };
    let total = if short(19) == 0 { long(32) } else { u32::from(short(19)) };
    let root_sectors = u32::from(short(17)) / u32::from(SECTOR / 32);
    let before_data = u32::from(tables)
        .checked_mul(table_sectors)
        .and_then(|sectors| sectors.checked_add(u32::from(short(14))))
        .and_then(|sectors| sectors.checked_add(root_sectors));

    sector.ends_with(&[0x55, 0xaa])
        && short(11) == SECTOR
        && sectors_per_cluster.is_power_of_two()
        && short(14) > 0
        && (1..=2).contains(&tables)
        && table_sectors > 0
        && before_data.is_some_and(|sectors| sectors < total)
}

/// The file's bytes. None when the volume has another label.
pub fn read(disk: &mut Window<impl Read + Seek>) -> Result<Option<Vec<u8>>, Error> {
    disk.rewind().map_err(Error::Disk)?;
    // What looks like FAT by its first sector may still be something else.
    let Ok(volume) = FileSystem::new(disk, FsOptions::new()) else { return Ok(None) };
    let in_root = volume.read_volume_label_from_root_dir_as_bytes().ok().flatten();
    if !is_label(volume.volume_label_as_bytes()) && !in_root.is_some_and(|label| is_label(&label)) {
        return Ok(None);
    }
    for entry in volume.root_dir().iter() {
        let entry = entry.map_err(Error::Disk)?;
        if entry.is_file() && entry.file_name().eq_ignore_ascii_case(FILE) {
            return take_file(entry.to_file()).map(Some);
        }
    }
    Err(Error::Volume("it has no file `coffer.toml`"))
}

/// A volume with that file. The same bytes give the same volume.
pub fn write(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut label = [b' '; 11];
    label.iter_mut().zip(LABEL.bytes()).for_each(|(to, from)| *to = from);
    let mut volume = Cursor::new(vec![0; SIZE]);
    let options = FormatVolumeOptions::new().bytes_per_sector(SECTOR).volume_id(0).volume_label(label);
    fatfs::format_volume(&mut volume, options).map_err(Error::Disk)?;
    let write = |volume: &mut Cursor<Vec<u8>>| {
        let file_system = FileSystem::new(volume, FsOptions::new().time_provider(&Epoch))?;
        let mut file = file_system.root_dir().create_file(FILE)?;
        file.write_all(bytes)?;
        file.flush()?;
        drop(file);
        file_system.unmount()
    };
    write(&mut volume).map_err(Error::Disk)?;
    Ok(volume.into_inner())
}

/// The clock of a volume that has none: every time stamp is FAT's first valid one.
#[derive(Debug)]
struct Epoch;

impl TimeProvider for Epoch {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}
