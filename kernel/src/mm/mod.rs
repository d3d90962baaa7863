//! Memory of processes: areas, faults, copy-on-write, the page cache.

pub mod page_cache;

/// A process's memory: its areas and the [`ostd::mm::VmSpace`] that shows them to the hardware.
#[derive(Debug)]
pub struct AddressSpace {}
