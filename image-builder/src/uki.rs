//! The unified kernel image: the boot stub with kernel, initramfs and texts appended as PE sections.
//!
//! Section names are those of systemd-stub, so that standard tools can inspect the file
//! (<https://uapi-group.org/specifications/specs/unified_kernel_image/>); the layout follows the PE/COFF specification.
//! The stub finds the sections by their headers in its own loaded image.

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_FILE_MACHINE_AMD64, IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_MEM_READ,
    IMAGE_SUBSYSTEM_EFI_APPLICATION, ImageDosHeader, ImageNtHeaders64, ImageSectionHeader,
};
use object::pod::{bytes_of, from_bytes_mut};
use object::read::pe::ImageNtHeaders as _;

use crate::{Error, elf};

/// What stands in a UKI.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The UEFI application that the sections are appended to.
    pub stub: &'a [u8],
    /// `.linux`: the kernel ELF.
    pub kernel: &'a [u8],
    /// `.initrd`: the cpio archive.
    pub initramfs: &'a [u8],
    /// `.cmdline`: the whole built-in command line.
    pub command_line: &'a str,
    /// Version of the release, for `.osrel` and `.uname`.
    pub version: &'a str,
}

/// Writes the UKI.
///
/// # Errors
/// If the stub is not a 64-bit UEFI application with room for five section headers, the kernel is not an x86-64
/// executable, or the file would pass 4 GiB.
pub fn build(contents: &Contents) -> Result<Vec<u8>, Error> {
    elf::check(contents.kernel)?;
    let release =
        format!("ID=coffer\nNAME=\"Coffer\"\nPRETTY_NAME=\"Coffer {0}\"\nVERSION_ID={0}\n", contents.version);
    let mut file = Portable::parse(contents.stub)?;
    file.append(*b".osrel\0\0", release.as_bytes())?;
    file.append(*b".uname\0\0", contents.version.as_bytes())?;
    file.append(*b".cmdline", contents.command_line.as_bytes())?;
    file.append(*b".initrd\0", contents.initramfs)?;
    file.append(*b".linux\0\0", contents.kernel)?;
    file.finish()
}

/// A PE file that sections are being appended to.
struct Portable {
    bytes: Vec<u8>,
    nt_offset: usize,
    /// Where the next section header goes.
    header_end: usize,
    headers: Layout,
}

/// The fields of the optional header that appending needs or changes, in bytes.
struct Layout {
    file_alignment: u32,
    section_alignment: u32,
    size_of_headers: u32,
    size_of_image: u32,
    added_data: u32,
    section_count: u16,
}

impl Portable {
    fn parse(stub: &[u8]) -> Result<Self, Error> {
        let dos = ImageDosHeader::parse(stub).map_err(bad_stub)?;
        let nt_offset = dos.nt_headers_offset();
        let mut offset = u64::from(nt_offset);
        let (nt, _) = ImageNtHeaders64::parse(stub, &mut offset).map_err(bad_stub)?;
        let optional = &nt.optional_header;
        if nt.file_header.machine.get(LE) != IMAGE_FILE_MACHINE_AMD64
            || optional.subsystem.get(LE) != IMAGE_SUBSYSTEM_EFI_APPLICATION
        {
            return Err(bad_stub("not a UEFI application for x86-64"));
        }
        let layout = Layout {
            file_alignment: optional.file_alignment.get(LE),
            section_alignment: optional.section_alignment.get(LE),
            size_of_headers: optional.size_of_headers.get(LE),
            size_of_image: optional.size_of_image.get(LE),
            added_data: 0,
            section_count: nt.file_header.number_of_sections.get(LE),
        };
        if !layout.file_alignment.is_power_of_two() || !layout.section_alignment.is_power_of_two() {
            return Err(bad_stub("an alignment is not a power of two"));
        }
        let headers_len = usize::from(layout.section_count) * size_of::<ImageSectionHeader>();
        let header_end = usize::try_from(offset).map_err(bad_stub)? + headers_len;
        Ok(Self { bytes: stub.to_vec(), nt_offset: nt_offset as usize, header_end, headers: layout })
    }

    /// Appends one read-only data section.
    fn append(&mut self, name: [u8; 8], data: &[u8]) -> Result<(), Error> {
        let too_large = || Error::TooLarge {
            part: "the unified kernel image",
            size: self.bytes.len() as u64 + data.len() as u64,
            room: u64::from(u32::MAX),
        };
        let size = u32::try_from(data.len()).map_err(|_| too_large())?;
        let layout = &self.headers;
        let raw_offset = align(self.bytes.len(), layout.file_alignment).ok_or_else(too_large)?;
        let raw_size = align(data.len(), layout.file_alignment).ok_or_else(too_large)?;
        let address = align(layout.size_of_image as usize, layout.section_alignment).ok_or_else(too_large)?;
        let image_end = address
            .checked_add(size)
            .and_then(|end| align(end as usize, layout.section_alignment))
            .ok_or_else(too_large)?;

        let mut header = ImageSectionHeader { name, ..ImageSectionHeader::default() };
        header.virtual_size.set(LE, size);
        header.virtual_address.set(LE, address);
        header.size_of_raw_data.set(LE, raw_size);
        header.pointer_to_raw_data.set(LE, raw_offset);
        header.characteristics.set(LE, IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ);
        self.write_header(&header)?;

        self.bytes.resize(raw_offset as usize, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(raw_offset as usize + raw_size as usize, 0);
        self.headers.size_of_image = image_end;
        self.headers.added_data = self.headers.added_data.saturating_add(raw_size);
        self.headers.section_count += 1;
        Ok(())
    }

    /// Puts `header` behind the existing ones. The gap up to the first section is the linker's padding; moving the
    /// sections to make room would be possible but no linker output so far needed it.
    fn write_header(&mut self, header: &ImageSectionHeader) -> Result<(), Error> {
        let end = self.header_end + size_of::<ImageSectionHeader>();
        if end > self.headers.size_of_headers as usize {
            return Err(bad_stub("no room for another section header"));
        }
        let gap = self.bytes.get_mut(self.header_end..end).ok_or_else(|| bad_stub("truncated"))?;
        if gap.iter().any(|&byte| byte != 0) {
            return Err(bad_stub("the space behind its section headers is in use"));
        }
        gap.copy_from_slice(bytes_of(header));
        self.header_end = end;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, Error> {
        let bytes = self.bytes.get_mut(self.nt_offset..).ok_or_else(|| bad_stub("truncated"))?;
        let (nt, _) = from_bytes_mut::<ImageNtHeaders64>(bytes).map_err(|()| bad_stub("truncated"))?;
        let data =
            nt.optional_header.size_of_initialized_data.get(LE).saturating_add(self.headers.added_data);
        nt.file_header.number_of_sections.set(LE, self.headers.section_count);
        nt.optional_header.size_of_initialized_data.set(LE, data);
        nt.optional_header.size_of_image.set(LE, self.headers.size_of_image);
        Ok(self.bytes)
    }
}

/// `value` rounded up to `alignment` (a power of two), if the result fits into 32 bits.
fn align(value: usize, alignment: u32) -> Option<u32> {
    u32::try_from(value).ok()?.checked_next_multiple_of(alignment)
}

fn bad_stub(reason: impl ToString) -> Error {
    Error::input("the boot stub", reason)
}

#[cfg(test)]
mod tests {
    use super::{Contents, build};

    #[test]
    fn what_is_not_a_uefi_application_is_refused() {
        let kernel = crate::elf::tests::tiny_kernel();
        for stub in [b"".as_slice(), b"MZ", &[0; 1024]] {
            let contents = Contents { stub, kernel: &kernel, initramfs: b"", command_line: "", version: "0" };
            let error = build(&contents).unwrap_err().to_string();
            assert!(error.starts_with("the boot stub is not usable"), "{error}");
        }
    }
}
