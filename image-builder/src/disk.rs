//! The bootable disk: a GPT with one EFI system partition.
//!
//! Partition plan, in bytes: 1 MiB for the table, the partition, 1 MiB for the backup table; so everything is aligned to
//! 1 MiB and so is the whole, as cloud imports want it.

use std::collections::BTreeMap;
use std::io::Cursor;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types;

use crate::{Error, esp, identity};

const MARGIN: u64 = 1 << 20;

/// Size of the disk in bytes.
pub const SIZE: u64 = MARGIN + esp::SIZE + MARGIN;

/// Writes the disk. Its GUIDs follow from `uki`, of which everything else on it is a function.
///
/// # Errors
/// If `uki` does not fit into the partition.
pub fn build(uki: &[u8]) -> Result<Vec<u8>, Error> {
    let partition = esp::build(uki)?;
    let sector = u64::from(esp::SECTOR);
    let entry = Partition {
        part_type_guid: partition_types::EFI,
        part_guid: identity::guid("coffer partition", uki),
        first_lba: MARGIN / sector,
        last_lba: (MARGIN + esp::SIZE) / sector - 1,
        flags: 0,
        name: "coffer".to_owned(),
    };

    let mut disk = Cursor::new(vec![0; SIZE as usize]);
    let last_sector = u32::try_from(SIZE / sector - 1).map_err(|_| Error::TooLarge {
        part: "the disk",
        size: SIZE,
        room: u64::from(u32::MAX) * sector,
    })?;
    ProtectiveMBR::with_lb_size(last_sector)
        .overwrite_lba0(&mut disk)
        .map_err(|error| Error::write("the protective MBR")(std::io::Error::other(error)))?;
    let mut table = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(disk, Some(identity::guid("coffer disk", uki)))?;
    table.update_partitions(BTreeMap::from([(1, entry)]))?;
    let mut bytes = table.write()?.into_inner();

    let start = MARGIN as usize;
    bytes
        .get_mut(start..start + partition.len())
        .ok_or(Error::TooLarge { part: "the partition", size: esp::SIZE, room: SIZE })?
        .copy_from_slice(&partition);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::build;

    #[test]
    fn the_partition_table_reads_back() {
        let disk = build(b"uki").unwrap();
        let table = gpt::GptConfig::new().open_from_device(Cursor::new(disk.as_slice().to_vec())).unwrap();
        let partition = &table.partitions()[&1];
        assert_eq!((partition.first_lba, partition.last_lba), (2048, 2048 + 131_072 - 1));
        assert_eq!(partition.part_type_guid, gpt::partition_types::EFI);
    }

    #[test]
    fn same_contents_give_the_same_disk_and_others_another() {
        assert!(build(b"uki").unwrap() == build(b"uki").unwrap());
        assert!(build(b"uki").unwrap() != build(b"UKI").unwrap());
    }
}
