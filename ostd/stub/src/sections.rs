//! The sections of the UKI, found through the PE headers of the loaded image.
//!
//! In memory a section lies at its virtual address, not at its file offset; so the headers are parsed with `object` and the
//! contents are cut out here.

use object::LittleEndian as LE;
use object::pe::{ImageDosHeader, ImageNtHeaders64};
use object::read::pe::ImageNtHeaders as _;

/// What the stub boots, as slices of its own loaded image.
#[derive(Debug, Clone, Copy)]
pub struct Sections<'a> {
    /// `.linux`: the kernel ELF.
    pub kernel: &'a [u8],
    /// `.initrd`: the initramfs.
    pub initramfs: &'a [u8],
    /// `.cmdline`: the built-in command line.
    pub command_line: &'a str,
}

/// Why a loaded image is no UKI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The PE headers do not parse; what is wrong with them.
    Headers(&'static str),
    /// There is no section of that name.
    Missing(&'static str),
    /// The section lies outside of the loaded image.
    Outside(&'static str),
    /// `.cmdline` is not UTF-8.
    CommandLine,
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self {
            Self::Headers(reason) => write!(formatter, "the headers of this image are damaged: {reason}"),
            Self::Missing(name) => write!(formatter, "this image has no section {name}"),
            Self::Outside(name) => write!(formatter, "section {name} lies outside of this image"),
            Self::CommandLine => write!(formatter, "section .cmdline is not text"),
        }
    }
}

impl<'a> Sections<'a> {
    /// Finds the sections in `image`, a PE file as the firmware loaded it.
    ///
    /// # Errors
    /// If the headers are damaged or a section is missing or reaches outside of `image`.
    pub fn find(image: &'a [u8]) -> Result<Self, Error> {
        let command_line = section(image, ".cmdline")?;
        let command_line = core::str::from_utf8(command_line).map_err(|_| Error::CommandLine)?;
        Ok(Self {
            kernel: section(image, ".linux")?,
            initramfs: section(image, ".initrd")?,
            command_line: command_line.trim_end_matches('\0').trim(),
        })
    }
}

fn section<'a>(image: &'a [u8], name: &'static str) -> Result<&'a [u8], Error> {
    let damaged = |_| Error::Headers("not a PE file");
    let mut offset = u64::from(ImageDosHeader::parse(image).map_err(damaged)?.nt_headers_offset());
    let (headers, _) = ImageNtHeaders64::parse(image, &mut offset).map_err(damaged)?;
    let table = headers.sections(image, offset).map_err(|_| Error::Headers("truncated section table"))?;
    let header =
        table.iter().find(|header| header.raw_name() == name.as_bytes()).ok_or(Error::Missing(name))?;

    let start = header.virtual_address.get(LE) as usize;
    let end = start.checked_add(header.virtual_size.get(LE) as usize).ok_or(Error::Outside(name))?;
    image.get(start..end).ok_or(Error::Outside(name))
}

#[cfg(test)]
mod tests {
    use super::{Error, Sections};

    #[test]
    fn what_is_no_pe_file_is_refused() {
        assert!(matches!(Sections::find(&[]), Err(Error::Headers(_))));
        assert!(matches!(Sections::find(&[0xff; 512]), Err(Error::Headers(_))));
        let mut image = [0_u8; 512];
        image[..2].copy_from_slice(b"MZ");
        image[60..64].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Sections::find(&image), Err(Error::Headers(_))));
    }
}
