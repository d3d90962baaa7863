//! Forms of the disk for machines that do not take it raw. Each has a writer, whose bytes follow from the disk alone, and a reader that
//! gives the disk back.
//!
//! Written here rather than by a host tool: `qemu-img` puts the time into a VHD, and lays a qcow2 out as its version likes.

pub mod gcp;
pub mod qcow2;
pub mod vhd;

use crate::Error;

/// How a disk is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As it is (QEMU, libvirt).
    Raw,
    /// QEMU's copy-on-write format, sparse.
    Qcow2,
    /// Microsoft's fixed virtual hard disk (Azure).
    Vhd,
    /// A compressed tar with `disk.raw` (Google Compute Engine).
    Gcp,
}

impl Format {
    /// Every format, the disk itself first.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Qcow2, Self::Vhd, Self::Gcp];

    /// The name of an image file in this format.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Raw => "coffer.raw",
            Self::Qcow2 => "coffer.qcow2",
            Self::Vhd => "coffer.vhd",
            Self::Gcp => "coffer-gcp.tar.gz",
        }
    }

    /// What `file` is wrapped in, by its magic numbers. A UKI and anything else is none of these.
    #[must_use]
    pub fn of(file: &[u8]) -> Option<Self> {
        const SIGNATURE: usize = 510;
        if file.starts_with(&qcow2::MAGIC) {
            Some(Self::Qcow2)
        } else if file.starts_with(&gcp::MAGIC) {
            Some(Self::Gcp)
        } else if vhd::is_vhd(file) {
            Some(Self::Vhd)
        } else if file.get(SIGNATURE..SIGNATURE + 2) == Some(&[0x55, 0xaa]) && !file.starts_with(b"MZ") {
            Some(Self::Raw)
        } else {
            None
        }
    }

    /// Wraps `disk`.
    ///
    /// # Errors
    /// If the disk's size is not one that the format knows.
    pub fn write(self, disk: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Raw => Ok(disk.to_vec()),
            Self::Qcow2 => qcow2::write(disk),
            Self::Vhd => vhd::write(disk),
            Self::Gcp => gcp::write(disk),
        }
    }

    /// The disk inside of `file`.
    ///
    /// # Errors
    /// If `file` is damaged, or uses what our writer does not.
    pub fn read(self, file: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Raw => Ok(file.to_vec()),
            Self::Qcow2 => qcow2::read(file),
            Self::Vhd => vhd::read(file),
            Self::Gcp => gcp::read(file),
        }
    }
}

/// The largest disk that a reader gives back, in bytes: a bound for what a damaged header can ask for.
const DISK_LIMIT: u64 = 1 << 30;

/// The big-endian number of four bytes at `at`.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The big-endian number of eight bytes at `at`.
fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Format;

    /// Two MiB with holes: zeros, a pattern, zeros, an odd byte at the end; the signature of a boot record.
    fn disk() -> Vec<u8> {
        let mut disk = vec![0; 2 << 20];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        for (index, byte) in disk[300_000..700_000].iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        *disk.last_mut().unwrap() = 7;
        disk
    }

    #[test]
    fn every_format_gives_the_disk_back() {
        let disk = disk();
        for format in Format::ALL {
            let file = format.write(&disk).unwrap();
            assert_eq!(Format::of(&file), Some(format), "{format:?}");
            assert!(format.read(&file).unwrap() == disk, "{format:?}");
            assert!(format.write(&disk).unwrap() == file, "{format:?} is not a function of the disk");
        }
    }

    #[test]
    fn holes_take_no_room_in_a_qcow2() {
        let file = Format::Qcow2.write(&disk()).unwrap();
        assert!(file.len() < 1 << 20, "{} bytes", file.len());
    }

    #[test]
    fn a_truncated_file_is_refused() {
        for format in [Format::Qcow2, Format::Vhd, Format::Gcp] {
            let file = format.write(&disk()).unwrap();
            for len in [0, 3, 40, file.len() / 2, file.len() - 1] {
                assert!(format.read(&file[..len]).is_err(), "{format:?} cut to {len} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn damage_is_survived(at in 0_usize..2048, value: u8) {
            for format in [Format::Qcow2, Format::Vhd, Format::Gcp] {
                let mut file = format.write(&vec![1; 1 << 20]).unwrap();
                let at = if format == Format::Vhd { file.len() - 1 - at % 512 } else { at };
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
                // Refused or read: the point is that neither a panic nor a huge allocation follows.
                let _ = format.read(&file);
            }
        }
    }
}
