//! The page that the Linux boot protocol hands to the kernel ("zero page").
//!
//! Offsets and values: <https://www.kernel.org/doc/html/latest/arch/x86/boot.html> and `zero-page.html` beside it.

use crate::e820::ENTRY_SIZE;

/// Size of the page in bytes.
pub const SIZE: usize = 4096;

/// Size in bytes of the header of a `setup_data` node, in front of its payload.
pub const SETUP_DATA_HEADER: usize = 16;

const ACPI_RSDP_ADDR: usize = 0x070;
const EXT_RAMDISK_IMAGE: usize = 0x0c0;
const EXT_RAMDISK_SIZE: usize = 0x0c4;
const EXT_CMD_LINE_PTR: usize = 0x0c8;
const E820_ENTRIES: usize = 0x1e8;
const BOOT_FLAG: usize = 0x1fe;
const HEADER: usize = 0x202;
const VERSION: usize = 0x206;
const TYPE_OF_LOADER: usize = 0x210;
const LOADFLAGS: usize = 0x211;
const RAMDISK_IMAGE: usize = 0x218;
const RAMDISK_SIZE: usize = 0x21c;
const CMD_LINE_PTR: usize = 0x228;
const CMDLINE_SIZE: usize = 0x238;
const SETUP_DATA: usize = 0x250;
const E820_TABLE: usize = 0x2d0;
const E820_TABLE_ENTRIES: usize = 128;

const PROTOCOL_VERSION: u16 = 0x020f;
const LOADER_UNDEFINED: u8 = 0xff;
const LOADED_HIGH: u8 = 1;
const SETUP_E820_EXT: u32 = 1;

/// The page while it is being filled.
#[derive(Debug)]
pub struct BootParams<'a>(&'a mut [u8; SIZE]);

impl<'a> BootParams<'a> {
    /// Starts with the fields that are the same at every boot.
    pub fn new(page: &'a mut [u8; SIZE]) -> Self {
        page.fill(0);
        let mut params = Self(page);
        params.put(BOOT_FLAG, 0xaa55_u16.to_le_bytes());
        params.put(HEADER, *b"HdrS");
        params.put(VERSION, PROTOCOL_VERSION.to_le_bytes());
        params.put(TYPE_OF_LOADER, [LOADER_UNDEFINED]);
        params.put(LOADFLAGS, [LOADED_HIGH]);
        params
    }

    /// Where the initramfs is: physical address and size in bytes.
    pub fn set_ramdisk(&mut self, address: u64, size: u64) {
        self.put_split(RAMDISK_IMAGE, EXT_RAMDISK_IMAGE, address);
        self.put_split(RAMDISK_SIZE, EXT_RAMDISK_SIZE, size);
    }

    /// Where the NUL-terminated command line is: physical address and length in bytes without the NUL.
    pub fn set_command_line(&mut self, address: u64, len: u32) {
        self.put_split(CMD_LINE_PTR, EXT_CMD_LINE_PTR, address);
        self.put(CMDLINE_SIZE, len.to_le_bytes());
    }

    /// Physical address of the ACPI root pointer.
    pub fn set_acpi_rsdp(&mut self, address: u64) {
        self.put(ACPI_RSDP_ADDR, address.to_le_bytes());
    }

    /// Address of the page, for the register that the kernel finds it by.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.0.as_ptr().addr() as u64
    }

    /// The memory for E820 entries that the page has.
    pub fn e820_table(&mut self) -> &mut [u8] {
        &mut self.0[E820_TABLE..E820_TABLE + E820_TABLE_ENTRIES * ENTRY_SIZE]
    }

    /// Says how many bytes of [`Self::e820_table`] are filled.
    pub fn set_e820_len(&mut self, len: usize) {
        let entries = len.min(E820_TABLE_ENTRIES * ENTRY_SIZE) / ENTRY_SIZE;
        self.put(E820_ENTRIES, [u8::try_from(entries).unwrap_or(u8::MAX)]);
    }

    /// Links the `setup_data` node at physical address `node`.
    pub fn set_setup_data(&mut self, node: u64) {
        self.put(SETUP_DATA, node.to_le_bytes());
    }

    fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.0[offset..offset + N].copy_from_slice(&bytes);
    }

    /// Writes a 64-bit value as the protocol has it since 4 GiB ceased to be enough: two halves at two places.
    fn put_split(&mut self, low: usize, high: usize, value: u64) {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.put(low, [a, b, c, d]);
        self.put(high, [e, f, g, h]);
    }
}

/// Writes the header of the `setup_data` node that holds `payload_len` bytes of further E820 entries. It is the only node,
/// so it links to none.
pub fn write_e820_ext_header(header: &mut [u8; SETUP_DATA_HEADER], payload_len: u32) {
    header[..8].fill(0);
    header[8..12].copy_from_slice(&SETUP_E820_EXT.to_le_bytes());
    header[12..].copy_from_slice(&payload_len.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::{BootParams, SIZE};

    #[test]
    fn fields_are_where_the_protocol_has_them() {
        let mut page = [0xff; SIZE];
        let mut params = BootParams::new(&mut page);
        params.set_ramdisk(0x1_2345_6000, 0x789);
        params.set_command_line(0x9000, 17);
        params.set_acpi_rsdp(0x7fff_e014);
        assert_eq!(params.e820_table().len(), 2560);
        params.set_e820_len(2560);
        assert_eq!(&page[0x202..0x206], b"HdrS");
        assert_eq!(page[0x218..0x220], [0x00, 0x60, 0x45, 0x23, 0x89, 7, 0, 0]);
        assert_eq!(page[0x0c0..0x0c8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(page[0x228..0x22c], [0, 0x90, 0, 0]);
        assert_eq!((page[0x70], page[0x1e8], page[0x1fe], page[0xfff]), (0x14, 128, 0x55, 0));
    }
}
