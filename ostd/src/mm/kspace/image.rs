//! The kernel image: where its sections lie, by the linker script's symbols, and where the loader put it.

use core::ops::Range;

use x86_64::registers::control::Cr3;

use super::phys_to_ptr;
use super::tables::{CODE, DATA, READ_ONLY};
use crate::mm::page_table::{Entry, index, span};
use crate::mm::{Paddr, Vaddr};

/// A stretch of the image with the same rights.
pub(super) struct Section {
    pub(super) start: Vaddr,
    pub(super) paddr: Paddr,
    pub(super) len: usize,
    pub(super) flags: u64,
}

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
}

/// Text, rodata, data with bss. The linker script aligns each to pages.
pub(super) fn sections() -> [Section; 3] {
    let offset = offset();
    let section = |start: *const u8, end: *const u8, flags| {
        let start = start.addr();
        Section { start, paddr: start.wrapping_sub(offset), len: end.addr() - start, flags }
    };
    [
        section(&raw const __text_start, &raw const __text_end, CODE),
        section(&raw const __rodata_start, &raw const __rodata_end, READ_ONLY),
        section(&raw const __data_start, &raw const __data_end, DATA),
    ]
}

/// The physical range of text and rodata.
pub(super) fn read_only() -> Range<Paddr> {
    let [text, rodata, _] = sections();
    text.paddr..rodata.paddr + rodata.len
}

/// Virtual minus physical address of the image, as boot's tables map it now (or ours: they are the same).
fn offset() -> usize {
    let address = (&raw const __text_start).addr();
    let mut node = Cr3::read_raw().0.start_address().as_u64() as Paddr;
    for level in (1..=4).rev() {
        let slot: *const Entry = phys_to_ptr(node).cast();
        // SAFETY: the index is below 512, so this stays in the table ...
        let slot = unsafe { slot.add(index(address, level)) };
        // SAFETY: ... which is in the direct map, and which nobody changes while boot runs on one CPU.
        let entry = unsafe { slot.read() };
        assert!(entry.is_present(), "we run in the image, so it is mapped");
        if level == 1 || entry.is_huge() {
            let within = address & (span(level) - 1);
            return address.wrapping_sub((entry.paddr() & !(span(level) - 1)) + within);
        }
        node = entry.paddr();
    }
    unreachable!("level 1 ends the walk")
}
