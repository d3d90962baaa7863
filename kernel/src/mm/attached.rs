//! Where a file is mapped as a whole, by the address that it was mapped at: what shmdt(2) asks.

use super::AddressSpace;
use super::area::Backing;
use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, Vaddr};

impl AddressSpace {
    /// The file, if `is_wanted`, whose first page is or would be at `start`, and all parts of that mapping that are left.
    pub fn file_attached_at(
        &self,
        start: Vaddr,
        is_wanted: impl Fn(&OpenFile) -> bool,
    ) -> Option<(Arc<OpenFile>, Vec<Range<Vaddr>>)> {
        let areas = self.areas.read();
        let mut found: Option<Arc<OpenFile>> = None;
        let mut parts = Vec::new();
        for (range, area) in areas.map.iter().skip_while(|(range, _)| range.end <= start) {
            let Backing::File { file: Some(file), first, .. } = &area.backing else { continue };
            if range.start.checked_sub(first * PAGE_SIZE) != Some(start) {
                continue;
            }
            match &found {
                None if is_wanted(file) => found = Some(file.clone()),
                Some(known) if Arc::ptr_eq(known, file) => {}
                _ => continue,
            }
            parts.push(range);
        }
        drop(areas);
        found.map(|file| (file, parts))
    }
}
