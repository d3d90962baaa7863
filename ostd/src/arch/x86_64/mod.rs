//! x86-64.

pub(crate) mod apic;
pub(crate) mod boot;
pub(crate) mod cpuid;
pub(crate) mod fw_cfg;
pub(crate) mod gdt;
pub(crate) mod io_apic;
pub(crate) mod mm;
pub(crate) mod pci_ports;
pub(crate) mod port;
pub(crate) mod power;
pub(crate) mod serial;
pub(crate) mod smp;
pub(crate) mod time;
pub(crate) mod trap;
pub(crate) mod user;
