//! What the two boot protocols hand over, read from physical memory with every length checked.
//!
//! Sources: Xen's `public/arch-x86/hvm/start_info.h` (PVH), Linux's Documentation/arch/x86/{boot,zero-page}.rst.

use super::memory_map::MemoryMap;
use core::ops::Range;

/// The longest command line that we take, in bytes.
pub(crate) const MAX_COMMAND_LINE: usize = 4096;
/// An extended E820 list comes in a linked list of blobs; a list longer than this is a loop.
const MAX_SETUP_DATA: usize = 64;

/// Which door we came through; the values are those that `entry.S` passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Linux 64-bit: the data is `boot_params`.
    Linux,
    /// PVH: the data is `hvm_start_info`.
    Pvh,
}

/// Physical memory, as far as it is mapped: `len` bytes at `start`, or `None`.
pub(crate) type ReadPhysical<'a> = &'a dyn Fn(u64, usize) -> Option<&'static [u8]>;

/// What the loader told, checked but not yet copied.
#[derive(Debug)]
pub(crate) struct LoaderInfo {
    /// Normalised.
    pub memory: MemoryMap,
    /// Without the NUL.
    pub command_line: &'static [u8],
    /// Physical range; empty if there is none.
    pub initramfs: Range<usize>,
    /// Physical address of the RSDP, if the loader knew.
    pub rsdp: Option<u64>,
}

/// Reads what `protocol` left at physical address `data`.
///
/// # Errors
/// Names what makes it unusable: without a memory map there is nothing to run on.
pub(crate) fn read(
    protocol: Protocol,
    data: u64,
    physical: ReadPhysical<'_>,
) -> Result<LoaderInfo, &'static str> {
    let mut info = match protocol {
        Protocol::Pvh => read_pvh(data, physical)?,
        Protocol::Linux => read_linux(data, physical)?,
    };
    info.memory.normalise();
    if info.memory.regions().is_empty() {
        return Err("the loader passed no memory map");
    }
    Ok(info)
}

const PVH_MAGIC: u32 = 0x336e_c578;

fn read_pvh(data: u64, physical: ReadPhysical<'_>) -> Result<LoaderInfo, &'static str> {
    let start = physical(data, 56).ok_or("hvm_start_info is out of reach")?;
    if u32_at(start, 0) != PVH_MAGIC || u32_at(start, 4) < 1 {
        return Err("hvm_start_info has a wrong magic or no memory map (version 0)");
    }

    let mut memory = MemoryMap::new();
    let count = u32_at(start, 48).min(4096) as usize;
    let entries = physical(u64_at(start, 40), count * 24).ok_or("the PVH memory map is out of reach")?;
    for entry in entries.chunks_exact(24) {
        memory.push(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
    }

    let module = (u32_at(start, 12) > 0).then(|| physical(u64_at(start, 16), 32)).flatten();
    let initramfs = module.map_or(0..0, |m| range(u64_at(m, 0), u64_at(m, 8), physical));
    Ok(LoaderInfo {
        memory,
        command_line: c_string(u64_at(start, 24), physical),
        initramfs,
        rsdp: Some(u64_at(start, 32)).filter(|a| *a != 0),
    })
}

const E820_ENTRY_LEN: usize = 20;
const SETUP_E820_EXT: u32 = 1;

fn read_linux(data: u64, physical: ReadPhysical<'_>) -> Result<LoaderInfo, &'static str> {
    let params = physical(data, 4096).ok_or("boot_params is out of reach")?;
    let mut memory = MemoryMap::new();
    let count = usize::from(params[0x1e8]).min(128);
    push_e820(&mut memory, &params[0x2d0..0x2d0 + count * E820_ENTRY_LEN]);

    let mut next = u64_at(params, 0x250);
    for _ in 0..MAX_SETUP_DATA {
        let Some(header) = (next != 0).then(|| physical(next, 16)).flatten() else { break };
        if u32_at(header, 8) == SETUP_E820_EXT
            && let Some(entries) =
                next.checked_add(16).and_then(|at| physical(at, u32_at(header, 12) as usize))
        {
            push_e820(&mut memory, entries);
        }
        next = u64_at(header, 0);
    }

    let wide =
        |low: usize, high: usize| u64::from(u32_at(params, low)) | u64::from(u32_at(params, high)) << 32;
    Ok(LoaderInfo {
        memory,
        command_line: c_string(wide(0x228, 0xc8), physical),
        initramfs: range(wide(0x218, 0xc0), wide(0x21c, 0xc4), physical),
        rsdp: Some(u64_at(params, 0x70)).filter(|a| *a != 0),
    })
}

fn push_e820(memory: &mut MemoryMap, entries: &[u8]) {
    for entry in entries.chunks_exact(E820_ENTRY_LEN) {
        memory.push(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
    }
}

/// The range if all of it can be reached, else an empty one.
fn range(start: u64, len: u64, physical: ReadPhysical<'_>) -> Range<usize> {
    match (usize::try_from(start), usize::try_from(len)) {
        (Ok(first), Ok(len)) if len > 0 && physical(start, len).is_some() => first..first + len,
        _ => 0..0,
    }
}

/// A NUL-terminated string, cut at [`MAX_COMMAND_LINE`] and at the end of what can be reached.
fn c_string(start: u64, physical: ReadPhysical<'_>) -> &'static [u8] {
    if start == 0 {
        return &[];
    }
    let bytes = physical(start, MAX_COMMAND_LINE).unwrap_or(&[]);
    &bytes[..bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len())]
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes[offset..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::MemoryKind;
    use alloc::vec;
    use alloc::vec::Vec;

    const LEN: usize = 0x10000;

    fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn read_from(protocol: Protocol, data: u64, memory: Vec<u8>) -> Result<LoaderInfo, &'static str> {
        let memory: &'static [u8] = memory.leak();
        read(protocol, data, &|start, len| {
            let start = usize::try_from(start).ok()?;
            memory.get(start..start.checked_add(len)?)
        })
    }

    fn pvh() -> Vec<u8> {
        let mut m = vec![0; LEN];
        put(&mut m, 0x1000, &PVH_MAGIC.to_le_bytes());
        put(&mut m, 0x1004, &1_u32.to_le_bytes());
        put(&mut m, 0x100c, &1_u32.to_le_bytes());
        put(&mut m, 0x1010, &0x2000_u64.to_le_bytes());
        put(&mut m, 0x1018, &0x3000_u64.to_le_bytes());
        put(&mut m, 0x1020, &0xf_0000_u64.to_le_bytes());
        put(&mut m, 0x1028, &0x4000_u64.to_le_bytes());
        put(&mut m, 0x1030, &1_u32.to_le_bytes());
        put(&mut m, 0x2000, &0x5000_u64.to_le_bytes());
        put(&mut m, 0x2008, &0x1234_u64.to_le_bytes());
        put(&mut m, 0x3000, b"quiet coffer.debug_exit=0xf4\0");
        put(&mut m, 0x4008, &0x800_0000_u64.to_le_bytes());
        put(&mut m, 0x4010, &1_u32.to_le_bytes());
        m
    }

    #[test]
    fn pvh_start_info_is_read() {
        let info = read_from(Protocol::Pvh, 0x1000, pvh()).unwrap();
        assert_eq!(info.command_line, b"quiet coffer.debug_exit=0xf4");
        assert_eq!(info.initramfs, 0x5000..0x6234);
        assert_eq!(info.rsdp, Some(0xf_0000));
        assert_eq!(info.memory.regions()[0].len, 0x800_0000);
    }

    #[test]
    fn an_initramfs_out_of_reach_counts_as_none() {
        let mut m = pvh();
        put(&mut m, 0x2008, &u64::MAX.to_le_bytes());
        assert!(read_from(Protocol::Pvh, 0x1000, m).unwrap().initramfs.is_empty());
    }

    #[test]
    fn a_wrong_magic_or_no_memory_map_is_refused() {
        let mut m = pvh();
        m[0x1000] ^= 1;
        assert!(read_from(Protocol::Pvh, 0x1000, m).is_err());
        let mut m = pvh();
        m[0x1030] = 0;
        assert!(read_from(Protocol::Pvh, 0x1000, m).is_err());
        assert!(read_from(Protocol::Pvh, LEN as u64, pvh()).is_err());
    }

    #[test]
    fn boot_params_are_read_with_the_extended_map() {
        let mut m = vec![0; LEN];
        m[0x11e8] = 1;
        put(&mut m, 0x12d0 + 8, &0x9_f000_u64.to_le_bytes());
        put(&mut m, 0x12d0 + 16, &1_u32.to_le_bytes());
        put(&mut m, 0x1228, &0x3000_u32.to_le_bytes());
        put(&mut m, 0x1218, &0x5000_u32.to_le_bytes());
        put(&mut m, 0x121c, &0x10_u32.to_le_bytes());
        put(&mut m, 0x1250, &0x6000_u64.to_le_bytes());
        put(&mut m, 0x3000, b"ro\0");
        put(&mut m, 0x6000, &0x6000_u64.to_le_bytes()); // a loop
        put(&mut m, 0x6008, &1_u32.to_le_bytes());
        put(&mut m, 0x600c, &20_u32.to_le_bytes());
        put(&mut m, 0x6010, &0x10_0000_u64.to_le_bytes());
        put(&mut m, 0x6018, &0x1000_u64.to_le_bytes());
        put(&mut m, 0x6020, &3_u32.to_le_bytes());
        let info = read_from(Protocol::Linux, 0x1000, m).unwrap();
        assert_eq!(info.command_line, b"ro");
        assert_eq!(info.initramfs, 0x5000..0x5010);
        assert_eq!(info.rsdp, None);
        assert_eq!(info.memory.regions().len(), 2);
        assert_eq!(info.memory.regions()[1].kind, MemoryKind::AcpiReclaimable);
    }
}
