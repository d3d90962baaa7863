//! The kernel ELF: how much memory it needs, and what goes where in it.
//!
//! The kernel is linked at a fixed virtual address but runs at any physical one that is aligned to [`ALIGNMENT`]; it finds
//! where it was put by itself. Its segments keep their distances to each other (those of `p_paddr`).

use object::LittleEndian as LE;
use object::elf::{EM_X86_64, FileHeader64, PT_LOAD, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// Alignment of the kernel's physical address in bytes: one large page.
pub const ALIGNMENT: u64 = 2 << 20;

/// Upper limit of the span in bytes, so that a damaged header cannot ask for all of the machine's memory.
const SPAN_LIMIT: u64 = 1 << 30;

/// A kernel that was checked and can be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a> {
    file: &'a [u8],
    segments: &'a [ProgramHeader64<LE>],
    /// The lowest `p_paddr`, rounded down to [`ALIGNMENT`].
    lowest: u64,
    span: u64,
    /// Where execution starts, as an offset into the loaded span.
    entry: u64,
}

/// Why a kernel cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error(&'static str);

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(formatter, "the kernel in this image is damaged: {}", self.0)
    }
}

impl<'a> Kernel<'a> {
    /// Checks `file` and plans its span of memory.
    ///
    /// # Errors
    /// If `file` is not an x86-64 ELF, a segment reaches outside of the file or of 1 GiB of memory, or the entry point
    /// is in none.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let header = FileHeader64::<LE>::parse(file).map_err(|_| Error("not a 64-bit ELF file"))?;
        if header.e_machine.get(LE) != EM_X86_64 {
            return Err(Error("not for x86-64"));
        }
        let segments = header.program_headers(LE, file).map_err(|_| Error("truncated program headers"))?;
        let mut kernel = Self { file, segments, lowest: u64::MAX, span: 0, entry: 0 };

        let mut highest = 0;
        for segment in kernel.loadable() {
            segment.data(LE, file).map_err(|()| Error("a segment lies outside of the file"))?;
            if segment.p_filesz(LE) > segment.p_memsz(LE) {
                return Err(Error("a segment is larger in the file than in memory"));
            }
            let end = segment
                .p_paddr(LE)
                .checked_add(segment.p_memsz(LE))
                .ok_or(Error("a segment wraps around"))?;
            kernel.lowest = kernel.lowest.min(segment.p_paddr(LE) & !(ALIGNMENT - 1));
            highest = end.max(highest);
        }
        kernel.span = highest.checked_sub(kernel.lowest).ok_or(Error("no loadable segment"))?;
        if kernel.span == 0 || kernel.span > SPAN_LIMIT {
            return Err(Error("its segments span no or too much memory"));
        }
        kernel.entry = kernel.entry_offset(header.e_entry.get(LE))?;
        Ok(kernel)
    }

    /// Bytes of memory from the lowest to the highest segment.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Copies the segments into `memory`, which must be [`Self::span`] bytes long and zeroed.
    ///
    /// # Errors
    /// If `memory` is too short.
    pub fn load(&self, memory: &mut [u8]) -> Result<(), Error> {
        for segment in self.loadable() {
            let data =
                segment.data(LE, self.file).map_err(|()| Error("a segment lies outside of the file"))?;
            usize::try_from(segment.p_paddr(LE) - self.lowest)
                .ok()
                .and_then(|start| memory.get_mut(start..start.checked_add(data.len())?))
                .ok_or(Error("a segment lies outside of its memory"))?
                .copy_from_slice(data);
        }
        Ok(())
    }

    /// Physical address of the entry point of a kernel that was loaded at `base`.
    #[must_use]
    pub fn entry(&self, base: u64) -> u64 {
        base + self.entry
    }

    fn loadable(&self) -> impl Iterator<Item = &'a ProgramHeader64<LE>> + use<'a> {
        self.segments.iter().filter(|segment| segment.p_type(LE) == PT_LOAD && segment.p_memsz(LE) > 0)
    }

    /// `e_entry` is a virtual address; the segment that holds it says which physical one that is.
    fn entry_offset(&self, entry: u64) -> Result<u64, Error> {
        self.loadable()
            .find_map(|segment| {
                let offset = entry.checked_sub(segment.p_vaddr(LE))?;
                (offset < segment.p_filesz(LE)).then_some(segment.p_paddr(LE) - self.lowest + offset)
            })
            .ok_or(Error("its entry point is in no segment"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::{Error, Kernel};

    const VIRTUAL: u64 = 0xffff_ffff_8100_0000;
    const PHYSICAL: u64 = 0x100_0000;

    /// Two segments of 16 bytes in the file: one at [`PHYSICAL`], one 3 MiB higher with 4096 bytes in memory.
    fn file(entry: u64) -> Vec<u8> {
        let mut file = vec![0_u8; 256];
        file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        file[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
        file[24..32].copy_from_slice(&entry.to_le_bytes());
        file[32] = 64;
        file[52..58].copy_from_slice(&[64, 0, 56, 0, 2, 0]);
        for (index, (distance, offset, memory)) in
            [(0, 192_u64, 16_u64), (3 << 20, 208, 4096)].iter().enumerate()
        {
            let header = &mut file[64 + 56 * index..][..56];
            header[0] = 1;
            header[8..16].copy_from_slice(&offset.to_le_bytes());
            header[16..24].copy_from_slice(&(VIRTUAL + distance).to_le_bytes());
            header[24..32].copy_from_slice(&(PHYSICAL + distance).to_le_bytes());
            header[32..40].copy_from_slice(&16_u64.to_le_bytes());
            header[40..48].copy_from_slice(&memory.to_le_bytes());
        }
        file[192..208].fill(0xaa);
        file[208..224].fill(0xbb);
        file
    }

    #[test]
    fn segments_keep_their_distance() {
        let file = file(VIRTUAL + 4);
        let kernel = Kernel::parse(&file).unwrap();
        assert_eq!(kernel.span(), (3 << 20) + 4096);
        let mut memory = vec![0; kernel.span() as usize];
        kernel.load(&mut memory).unwrap();
        assert_eq!((memory[0], memory[16], memory[3 << 20], memory[(3 << 20) + 16]), (0xaa, 0, 0xbb, 0));
        assert_eq!(kernel.entry(0x4000_0000), 0x4000_0004);
    }

    #[test]
    fn entry_outside_of_every_segment_is_refused() {
        for entry in [0, VIRTUAL + 16, VIRTUAL - 1, u64::MAX] {
            assert_eq!(Kernel::parse(&file(entry)).unwrap_err(), Error("its entry point is in no segment"));
        }
    }

    #[test]
    fn damaged_headers_are_refused() {
        for (at, value) in
            [(64 + 8, u64::MAX), (64 + 24, u64::MAX), (64 + 24, 0), (64 + 32, 4096), (64 + 40, 1 << 40)]
        {
            let mut file = file(VIRTUAL);
            file[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
            let kernel = Kernel::parse(&file);
            assert!(kernel.is_err() || value == 0, "{at}: {kernel:?}");
        }
        assert!(Kernel::parse(&file(VIRTUAL)[..100]).is_err());
    }
}
