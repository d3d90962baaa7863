//! The EFI system partition: a FAT32 volume with the UKI at the path that firmware starts without being configured.

use std::io::{Cursor, Write};

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use crate::{Error, identity};

/// Size of the volume in bytes: twice the limit of the UKI (24 MiB) and well above what FAT32 needs at one sector a cluster,
/// which the UEFI specification (13.3) names for system partitions.
pub const SIZE: u64 = 64 << 20;

/// Logical sector size in bytes.
pub const SECTOR: u16 = 512;

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

/// Writes the volume. Time stamps are constant, the serial number follows from `uki`.
///
/// # Errors
/// If `uki` does not fit.
pub fn build(uki: &[u8]) -> Result<Vec<u8>, Error> {
    let room = SIZE - SIZE / 16;
    if uki.len() as u64 > room {
        return Err(Error::TooLarge { part: "the unified kernel image", size: uki.len() as u64, room });
    }
    let mut volume = Cursor::new(vec![0; SIZE as usize]);
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(SECTOR)
        .bytes_per_cluster(u32::from(SECTOR))
        .volume_id(identity::volume_id(uki))
        .volume_label(*b"COFFER     ");
    fatfs::format_volume(&mut volume, options).map_err(Error::write("the EFI system partition"))?;
    fill(&mut volume, uki).map_err(Error::write("the EFI system partition"))?;
    let mut bytes = volume.into_inner();
    mend_folders(&mut bytes).ok_or_else(|| {
        Error::input("the EFI system partition", "its folders are not as they were written")
    })?;
    Ok(bytes)
}

fn fill(volume: &mut Cursor<Vec<u8>>, uki: &[u8]) -> std::io::Result<()> {
    let file_system = FileSystem::new(volume, FsOptions::new().time_provider(&Epoch))?;
    let folder = file_system.root_dir().create_dir("EFI")?.create_dir("BOOT")?;
    let mut file = folder.create_file("BOOTX64.EFI")?;
    file.write_all(uki)?;
    file.flush()?;
    drop(file);
    drop(folder);
    // Counting the free clusters makes the library write the count, which readers otherwise complain about.
    file_system.stats()?;
    file_system.unmount()
}

/// Drops long names, of which no name here has need, and makes the `..` entry of `/EFI` say cluster 0, which is how FAT32 names the root.
/// `fatfs` 0.3 gives even `.` and `..` a long name and writes the root's real cluster; fsck.vfat calls both damage.
fn mend_folders(volume: &mut [u8]) -> Option<()> {
    const ENTRY: usize = 32;
    const ATTRIBUTES: usize = 11;
    const LONG_NAME: u8 = 0x0f;
    let number =
        |volume: &[u8], at: usize| Some(u32::from_le_bytes(*volume.get(at..)?.first_chunk()?) as usize);
    let short =
        |volume: &[u8], at: usize| Some(usize::from(u16::from_le_bytes(*volume.get(at..)?.first_chunk()?)));
    let sector = usize::from(SECTOR);
    let (reserved, tables) = (short(volume, 14)?, usize::from(*volume.get(16)?));
    let table_len = number(volume, 36)?;
    // One sector a cluster; clusters count from 2.
    let cluster = |index: usize| (reserved + tables * table_len + index.checked_sub(2)?).checked_mul(sector);

    let mut folder = cluster(number(volume, 44)?)?;
    for (name, is_last) in [(b"EFI        ", false), (b"BOOT       ", false), (b"BOOTX64 EFI", true)] {
        let entries = volume.get_mut(folder..folder + sector)?;
        let kept: Vec<u8> = entries
            .chunks_exact(ENTRY)
            .filter(|entry| entry[ATTRIBUTES] != LONG_NAME)
            .flatten()
            .copied()
            .chain(std::iter::repeat(0))
            .take(sector)
            .collect();
        entries.copy_from_slice(&kept);
        if name.starts_with(b"BOOT ") {
            let parent = entries.chunks_exact_mut(ENTRY).find(|entry| entry.starts_with(b".. "))?;
            parent[20..22].fill(0);
            parent[26..28].fill(0);
        }
        let entry = kept.chunks_exact(ENTRY).find(|entry| entry.starts_with(name))?;
        if !is_last {
            folder = cluster(short(entry, 20)? << 16 | short(entry, 26)?)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::build;

    #[test]
    fn the_uki_reads_back() {
        let uki: Vec<u8> = (0_u32..100_000).flat_map(u32::to_le_bytes).collect();
        let volume = Cursor::new(build(&uki).unwrap());
        let file_system = fatfs::FileSystem::new(volume, fatfs::FsOptions::new()).unwrap();
        assert_eq!(file_system.fat_type(), fatfs::FatType::Fat32);
        let mut read = Vec::new();
        file_system.root_dir().open_file("EFI/BOOT/BOOTX64.EFI").unwrap().read_to_end(&mut read).unwrap();
        assert!(read == uki);
    }

    #[test]
    fn a_uki_that_does_not_fit_is_refused() {
        assert!(build(&vec![0; 62 << 20]).is_err());
    }
}
