//! The EFI system partition: a FAT32 volume with the UKI at the path that firmware starts without being configured.

use std::io::{Cursor, Write};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};

use crate::{Error, identity};

/// Size of the volume in bytes: twice the limit of the UKI (24 MiB) and well above what FAT32 needs at one sector a cluster,
/// which the UEFI specification (13.3) names for system partitions.
pub const SIZE: u64 = 64 << 20;

/// Logical sector size in bytes.
pub const SECTOR: u16 = 512;

/// Writes the volume. Time stamps are FAT's zero (`fatfs` without a clock), the serial number follows from `uki`.
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
    Ok(volume.into_inner())
}

fn fill(volume: &mut Cursor<Vec<u8>>, uki: &[u8]) -> std::io::Result<()> {
    let file_system = FileSystem::new(volume, FsOptions::new())?;
    let folder = file_system.root_dir().create_dir("EFI")?.create_dir("BOOT")?;
    let mut file = folder.create_file("BOOTX64.EFI")?;
    file.write_all(uki)?;
    file.flush()?;
    drop(file);
    drop(folder);
    file_system.unmount()
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
