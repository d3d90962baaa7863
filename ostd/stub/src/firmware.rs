//! What the stub asks of UEFI: its own image, memory, the ACPI root pointer. The unsafe half of the application; each
//! function sheds raw pointers at once.

use core::slice;

use uefi::boot::{self, AllocateType, MemoryType, PAGE_SIZE};
use uefi::mem::memory_map::{MemoryAttribute, MemoryMap as _};
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::security::MemoryProtection;
use uefi::table::cfg::ConfigTableEntry;
use uefi::{Status, system};

use crate::Error;

/// The application's own image as loaded.
pub struct OwnImage {
    /// Headers and sections, at their virtual addresses.
    pub bytes: &'static [u8],
    /// LoadOptions as the loader left them.
    pub options: &'static [u8],
}

/// Finds the image that runs now.
pub fn own_image() -> Result<OwnImage, Error> {
    let missing = |status| Error::Firmware { what: "this image's own location", status };
    let protocol = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle())
        .map_err(|error| missing(error.status()))?;
    let (base, size) = protocol.info();
    let len = usize::try_from(size).map_err(|_| missing(Status::LOAD_ERROR))?;
    if base.is_null() || len == 0 {
        return Err(missing(Status::LOAD_ERROR));
    }
    // SAFETY: firmware reports the memory that it loaded this image into: `len` initialised bytes at `base`, which is
    // not null. It stays as long as the image runs. The bytes behind the slice that do change (this program's own
    // .data and .bss) are never read through it: `Sections` looks at the headers and at read-only sections.
    let bytes = unsafe { slice::from_raw_parts(base.cast::<u8>(), len) };
    let options = protocol.load_options_as_bytes().unwrap_or(&[]);
    // SAFETY: the options belong to whoever started this image and must stay until it ends (UEFI 9.1); the pointer and
    // length come from a valid slice.
    let options = unsafe { slice::from_raw_parts(options.as_ptr(), options.len()) };
    Ok(OwnImage { bytes, options })
}

/// Allocates zeroed pages for `len` bytes, at any address.
#[expect(
    clippy::mut_from_ref,
    reason = "the memory is fresh; the borrowed argument is a word for the error text"
)]
pub fn allocate(len: usize, kind: MemoryType, purpose: &'static str) -> Result<&'static mut [u8], Error> {
    let pages = len.div_ceil(PAGE_SIZE).max(1);
    let start = boot::allocate_pages(AllocateType::AnyPages, kind, pages)
        .map_err(|error| Error::Memory { purpose, status: error.status() })?;
    // SAFETY: the pages were just allocated for this caller alone, are mapped by firmware's identity map, writable,
    // and are never freed.
    unsafe { start.as_ptr().write_bytes(0, pages * PAGE_SIZE) };
    // SAFETY: as above; all bytes were just initialised.
    Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr(), pages * PAGE_SIZE) })
}

/// Allocates `len` zeroed bytes at a multiple of `alignment`, for code. What alignment costs stays allocated; boot services'
/// memory is the kernel's a moment later.
pub fn allocate_aligned(len: u64, alignment: u64, purpose: &'static str) -> Result<&'static mut [u8], Error> {
    let out_of_range = || Error::Memory { purpose, status: Status::OUT_OF_RESOURCES };
    let len = usize::try_from(len).map_err(|_| out_of_range())?;
    let slack = usize::try_from(alignment).map_err(|_| out_of_range())?;
    let memory =
        allocate(len.checked_add(slack).ok_or_else(out_of_range)?, MemoryType::LOADER_CODE, purpose)?;
    let skipped = memory.as_ptr().align_offset(slack);
    memory.get_mut(skipped..).and_then(|memory| memory.get_mut(..len)).ok_or_else(out_of_range)
}

/// Asks firmware that maps memory without execute permission to permit it for the kernel. Firmware without the protocol maps
/// [`MemoryType::LOADER_CODE`] executable, so a refusal is not an error.
pub fn allow_execution(memory: &[u8]) {
    let Ok(handle) = boot::get_handle_for_protocol::<MemoryProtection>() else { return };
    let Ok(protocol) = boot::open_protocol_exclusive::<MemoryProtection>(handle) else { return };
    let start = address(memory);
    let end = (start + memory.len() as u64).next_multiple_of(PAGE_SIZE as u64);
    let restrictions = MemoryAttribute::EXECUTE_PROTECT | MemoryAttribute::READ_ONLY;
    // A refusal shows as a fault at the jump, with the firmware's own report; there is nothing better to say here.
    let _refused = protocol.clear_memory_attributes(start..end, restrictions);
}

/// The physical address of memory that firmware's identity map maps.
pub fn address(memory: &[u8]) -> u64 {
    memory.as_ptr().addr() as u64
}

/// Physical address of the ACPI root pointer, the newer version preferred.
pub fn acpi_root() -> Option<u64> {
    system::with_config_table(|tables| {
        [ConfigTableEntry::ACPI2_GUID, ConfigTableEntry::ACPI_GUID]
            .iter()
            .find_map(|guid| tables.iter().find(|table| table.guid == *guid))
            .map(|table| table.address.addr() as u64)
    })
}

/// Entries in the memory map as it is now.
pub fn memory_map_len() -> Result<usize, Error> {
    boot::memory_map(MemoryType::LOADER_DATA)
        .map(|map| map.len())
        .map_err(|error| Error::Firmware { what: "the memory map", status: error.status() })
}

/// Whether this machine is an Intel TDX trust domain: CPUID leaf 0x21 spells "IntelTDX    " (TDX module ABI, 11.2).
pub fn is_trust_domain() -> bool {
    const LEAF: u32 = 0x21;
    if core::arch::x86_64::__cpuid(0).eax < LEAF {
        return false;
    }
    let leaf = core::arch::x86_64::__cpuid_count(LEAF, 0);
    [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).as_flattened() == b"IntelTDX    "
}
