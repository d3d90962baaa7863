//! What is to run in the domain, read from the files that real machines boot.

use anyhow::{Context as _, bail, ensure};
use coffer_image_builder::authenticode;
use object::{Object as _, ObjectSection as _, ObjectSegment as _};
use sha2::{Digest as _, Sha384};

use crate::measure::Booted;

/// A kernel with what its loader gives to it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The kernel as it lies in memory.
    pub image: Image,
    /// What its loader measures.
    pub booted: Booted,
    /// Its initramfs.
    pub initramfs: Vec<u8>,
    /// Its command line.
    pub command_line: String,
    /// Words behind it that are not part of the file.
    pub added_words: String,
}

/// A kernel in memory.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its first byte's address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How much memory it takes, from its address on.
    pub span: u64,
    /// Where its 64-bit entry is.
    pub entry: u64,
    /// The setup header of the Linux boot protocol, if it has one.
    pub setup_header: Vec<u8>,
}

impl Payload {
    /// Reads a unified kernel image, a kernel ELF or a bzImage.
    ///
    /// # Errors
    /// If the file is none of these.
    pub fn read(file: &[u8]) -> anyhow::Result<Self> {
        // Linux's kernel is a PE file, too.
        if file.get(0x202..0x206) == Some(b"HdrS") {
            return Self::new(file, bz_image(file)?);
        }
        if file.starts_with(b"MZ") {
            return unified(file);
        }
        Self::new(file, elf(file)?)
    }

    fn new(file: &[u8], image: Image) -> anyhow::Result<Self> {
        let booted = Booted::Kernel(Sha384::digest(file).into());
        let (command_line, added_words) = Default::default();
        Ok(Self { image, booted, initramfs: Vec::new(), command_line, added_words })
    }
}

fn unified(file: &[u8]) -> anyhow::Result<Payload> {
    let portable: object::read::pe::PeFile64 =
        object::read::pe::PeFile64::parse(file).context("not a unified kernel image")?;
    let section = |name: &str| -> anyhow::Result<Vec<u8>> {
        let section = portable.section_by_name(name).with_context(|| format!("no section {name}"))?;
        let len = usize::try_from(section.size())?;
        let data = section.data().with_context(|| format!("section {name}"))?;
        // Data in the file is padded; the section's size in memory is the true one.
        Ok(data.get(..len).unwrap_or(data).to_vec())
    };
    let mut payload = Payload::read(&section(".linux")?).context("section .linux")?;
    payload.booted = Booted::Unified(authenticode_hash(file)?);
    payload.initramfs = section(".initrd")?;
    payload.command_line = String::from_utf8(section(".cmdline")?).context("section .cmdline")?;
    Ok(payload)
}

fn authenticode_hash(file: &[u8]) -> anyhow::Result<[u8; 48]> {
    let digits = authenticode::sha384(file)?;
    let byte = |number: usize| {
        digits
            .get(2 * number..2 * number + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .unwrap_or(0)
    };
    Ok(core::array::from_fn(byte))
}

fn elf(file: &[u8]) -> anyhow::Result<Image> {
    let elf: object::read::elf::ElfFile64 = object::read::elf::ElfFile64::parse(file)
        .context("neither a unified kernel image, nor an ELF, nor a bzImage")?;
    let header = elf.elf_header();
    let endian = elf.endian();
    let segments: Vec<_> = elf
        .elf_program_headers()
        .iter()
        .filter(|segment| {
            segment.p_type.get(endian) == object::elf::PT_LOAD && segment.p_memsz.get(endian) > 0
        })
        .map(|segment| {
            let bytes =
                segment.p_offset.get(endian)..segment.p_offset.get(endian) + segment.p_filesz.get(endian);
            (segment.p_paddr.get(endian), segment.p_vaddr.get(endian), segment.p_memsz.get(endian), bytes)
        })
        .collect();
    ensure!(elf.segments().map(|segment| segment.size()).sum::<u64>() > 0, "an ELF without segments");
    let address = segments.iter().map(|(physical, ..)| *physical).min().context("an ELF without segments")?;
    let end = segments.iter().map(|(physical, _, len, _)| physical + len).max().unwrap_or(address);
    ensure!(end - address < 1 << 30, "a kernel of more than 1 GiB");
    let mut bytes = vec![0; usize::try_from(end - address)?];
    for (physical, _, _, range) in &segments {
        let from = file
            .get(usize::try_from(range.start)?..usize::try_from(range.end)?)
            .context("a segment is cut off")?;
        let at = usize::try_from(physical - address)?;
        bytes[at..at + from.len()].copy_from_slice(from);
    }
    let entry = header.e_entry.get(endian);
    let (physical, linear, ..) = segments
        .iter()
        .find(|(_, linear, len, _)| (*linear..linear + len).contains(&entry))
        .context("the entry is in no segment")?;
    let entry = entry - linear + physical;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(Image {
        address,
        bytes,
        span: (end - address).next_multiple_of(2 << 20),
        entry,
        setup_header: Vec::new(),
    })
}

/// Documentation/arch/x86/boot.rst.
fn bz_image(file: &[u8]) -> anyhow::Result<Image> {
    const HEADER: usize = 0x1f1;
    const SECTOR: usize = 512;
    const ENTRY_64: u64 = 0x200;
    let byte = |at: usize| file.get(at).copied().map(usize::from).context("a bzImage that is cut off");
    let number = |at: usize, len: usize| -> anyhow::Result<u64> {
        let bytes = file.get(at..at + len).context("a bzImage that is cut off")?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    if number(0x206, 2)? < 0x20c || number(0x236, 2)? & 1 == 0 {
        bail!("a bzImage without a 64-bit entry");
    }
    let sectors = match byte(HEADER)? {
        0 => 4,
        sectors => sectors,
    };
    let bytes = file.get((sectors + 1) * SECTOR..).context("a bzImage that is cut off")?.to_vec();
    let address = number(0x258, 8)?;
    let header_end = 0x202 + byte(0x201)?;
    let mut setup_header = file.get(HEADER..header_end).context("a bzImage that is cut off")?.to_vec();
    // An unknown loader, that has loaded it high.
    setup_header[0x210 - HEADER] = 0xff;
    setup_header[0x211 - HEADER] |= 1;
    Ok(Image { address, bytes, span: number(0x260, 4)?, entry: address + ENTRY_64, setup_header })
}

#[cfg(test)]
mod tests {
    use super::Payload;

    #[test]
    fn other_files_are_refused() {
        for file in [b"".as_slice(), b"MZ", b"\x7fELF", &[0; 4096]] {
            assert!(Payload::read(file).is_err());
        }
    }
}
