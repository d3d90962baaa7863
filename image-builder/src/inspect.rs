//! Reads an image back: from any of the forms of the disk, or the UKI itself, down to the parts that it was made of.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use object::LittleEndian as LE;
use object::read::pe::{ImageNtHeaders as _, PeFile64};
use serde::Serialize;

use crate::format::Format;
use crate::manifest::File;
use crate::{Error, authenticode};

/// Where firmware finds the UKI.
const UKI_PATH: &str = "EFI/BOOT/BOOTX64.EFI";

/// The sections of a UKI, as systemd-stub calls them, and what stands in them. The command line holds a hash over kernel and initramfs, so
/// it comes after what would explain its difference.
const SECTIONS: [(&str, &str); 5] = [
    (".linux", "kernel"),
    (".initrd", "initramfs"),
    (".osrel", "release"),
    (".uname", "version"),
    (".cmdline", "command line"),
];

/// The largest member of an initramfs that is looked at, in bytes.
const MEMBER_LIMIT: u64 = 256 << 20;

/// What is in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How the disk is wrapped: `raw`, `qcow2`, `vhd` or `gcp`; `uki` where there is no disk.
    pub format: &'static str,
    /// The file itself.
    pub file: File,
    /// Parts by name: `disk`, `uki`, `stub`, `kernel`, `initramfs`, `initramfs/init`, …
    pub parts: BTreeMap<String, File>,
    /// The Authenticode SHA-384 of the UKI.
    pub authenticode_sha384: String,
    /// The built-in command line.
    pub command_line: String,
    /// The release, as the section `.uname` has it.
    pub version: String,
}

/// The parts of an image, with their bytes, in the order in which [`crate::diff`] looks at them: innermost first.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    format: &'static str,
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// Says what is in `file`.
///
/// # Errors
/// If it is no image in a form that we write, with the part that is not as it should be.
pub fn inspect(file: &[u8]) -> Result<Report, Error> {
    let parts = Parts::of(file)?;
    let text = |name: &str| {
        let bytes = parts.get(name).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
    };
    Ok(Report {
        format: parts.format,
        file: File::of(file),
        authenticode_sha384: authenticode::sha384(parts.get("uki").unwrap_or_default())?,
        command_line: text("command line"),
        version: text("version"),
        parts: parts.parts.iter().map(|(name, bytes)| (name.clone(), File::of(bytes))).collect(),
    })
}

impl Parts {
    pub(crate) fn of(file: &[u8]) -> Result<Self, Error> {
        if file.starts_with(b"MZ") {
            return Ok(Self { format: "uki", parts: uki_parts(file.to_vec())? });
        }
        let format = Format::of(file).ok_or_else(|| bad("none of the forms that an image has"))?;
        let disk = format.read(file)?;
        let uki = uki_of(&disk)?;
        let mut parts = uki_parts(uki)?;
        parts.push(("disk".to_owned(), disk));
        let name = match format {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
            Format::Vhd => "vhd",
            Format::Gcp => "gcp",
        };
        Ok(Self { format: name, parts })
    }

    pub(crate) fn format(&self) -> &'static str {
        self.format
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.as_slice())
    }
}

/// The UKI on a disk.
fn uki_of(disk: &[u8]) -> Result<Vec<u8>, Error> {
    let table = gpt::GptConfig::new().open_from_device(Cursor::new(disk.to_vec())).map_err(bad)?;
    let partition = table
        .partitions()
        .values()
        .find(|partition| partition.part_type_guid == gpt::partition_types::EFI)
        .ok_or_else(|| bad("no EFI system partition"))?;
    let start = partition.first_lba.checked_mul(512).and_then(|start| usize::try_from(start).ok());
    let end = partition
        .last_lba
        .checked_add(1)
        .and_then(|end| end.checked_mul(512))
        .and_then(|end| usize::try_from(end).ok());
    let volume = start
        .zip(end)
        .and_then(|(start, end)| disk.get(start..end))
        .ok_or_else(|| bad("the EFI system partition lies outside of the disk"))?;
    // fatfs wants a device that can be written to.
    let volume = Cursor::new(volume.to_vec());
    let file_system = fatfs::FileSystem::new(volume, fatfs::FsOptions::new()).map_err(bad)?;
    let mut uki = Vec::new();
    let mut file =
        file_system.root_dir().open_file(UKI_PATH).map_err(|error| bad(format!("{UKI_PATH}: {error}")))?;
    // A file is no larger than its volume, unless its cluster chain runs in a circle.
    let limit = disk.len() as u64;
    std::io::Read::by_ref(&mut file).take(limit).read_to_end(&mut uki).map_err(bad)?;
    Ok(uki)
}

/// The parts of a UKI, itself last.
fn uki_parts(uki: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut parts = Vec::new();
    let pe = PeFile64::parse(uki.as_slice()).map_err(bad)?;
    let mut first_added = uki.len();
    for (section, name) in SECTIONS {
        let header = pe
            .section_table()
            .iter()
            .find(|header| header.raw_name() == section.as_bytes())
            .ok_or_else(|| bad(format!("the UKI has no section {section}")))?;
        let data = header.pe_data(uki.as_slice()).map_err(bad)?;
        // The file holds whole alignment units; the section's own size is the virtual one.
        let data = data.get(..header.virtual_size.get(LE) as usize).unwrap_or(data);
        first_added = first_added.min(header.pointer_to_raw_data.get(LE) as usize);
        if name == "initramfs" {
            parts.extend(members(data)?.into_iter().map(|(name, data)| (format!("initramfs/{name}"), data)));
        }
        parts.push((name.to_owned(), data.to_vec()));
    }
    let headers = pe.nt_headers().optional_header().size_of_headers.get(LE) as usize;
    let stub = uki.get(headers..first_added).unwrap_or_default().to_vec();
    parts.insert(0, ("stub".to_owned(), stub));
    parts.push(("uki".to_owned(), uki));
    Ok(parts)
}

/// Regular files of a cpio archive.
fn members(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut members = Vec::new();
    let mut rest = archive;
    loop {
        let mut reader = cpio::newc::Reader::new(rest).map_err(bad)?;
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return Ok(members);
        }
        if u64::from(entry.file_size()) > MEMBER_LIMIT {
            return Err(bad(format!("the member {} of the initramfs is too large", entry.name())));
        }
        let mut data = Vec::new();
        reader.read_to_end(&mut data).map_err(bad)?;
        if entry.mode() & 0o170_000 == 0o100_000 {
            members.push((entry.name().to_owned(), data));
        }
        rest = reader.finish().map_err(bad)?;
    }
}

fn bad(reason: impl ToString) -> Error {
    Error::input("the image", reason)
}
