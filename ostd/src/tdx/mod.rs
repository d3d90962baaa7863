//! Inside an Intel TDX trust domain (D3, D6): found out at run time, before the first port or MSR is touched. Everywhere else all of this is one branch.
//!
//! [`call`] asks the TDX module, whom we trust; [`host`] asks the host, whom we do not; [`exception`] serves what the module leaves to us;
//! [`memory`] accepts private pages. Sources: Intel TDX Module 1.5 ABI specification, Intel Guest-Hypervisor Communication Interface 1.5.

mod call;
pub(crate) mod exception;
pub(crate) mod host;
pub(crate) mod memory;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use self::call::{Leaf, Registers, retried, tdcall};
use crate::irq::IrqLine;
use crate::mm::Segment;
use crate::mm::dma::DmaCoherent;
use crate::{Error, Result};

/// Length of a TDREPORT.
pub const REPORT_LEN: usize = 1024;
/// Length of what a report carries for its caller.
pub const REPORT_DATA_LEN: usize = 64;
/// Length of a run-time measurement register: SHA-384.
pub const RTMR_LEN: usize = 48;

/// Bytes of what the host is told when we are at our end.
#[cfg(target_os = "none")]
pub(crate) const MAX_REASON: usize = 64;

/// Attributes of a TD (TDX Module ABI specification, ATTRIBUTES).
mod attribute {
    /// The host may read and write everything.
    pub(super) const DEBUG: u64 = 1;
    /// Touching a page that is not accepted ends the TD instead of raising an exception.
    pub(super) const NO_EXCEPTION_FOR_PAGES: u64 = 1 << 28;
}

/// The bit of a guest-physical address that makes it a shared one; 0 outside of a TD.
static SHARED_BIT: AtomicU64 = AtomicU64::new(0);
static ATTRIBUTES: AtomicU64 = AtomicU64::new(0);

/// Whether this machine is a trust domain.
#[inline]
pub fn is_active() -> bool {
    shared_bit() != 0
}

#[inline]
pub(crate) fn shared_bit() -> u64 {
    SHARED_BIT.load(Ordering::Relaxed)
}

/// What kind of trust domain this is.
#[derive(Clone, Copy, Debug)]
pub struct TrustDomain {
    /// Its attributes, as in its reports.
    pub attributes: u64,
    /// Width of guest-physical addresses; the highest bit makes an address shared.
    pub address_width: u32,
    /// Bytes that the kernel has accepted so far, beyond what firmware had.
    pub accepted: u64,
    /// Bytes that nobody has accepted yet.
    pub unaccepted: u64,
}

/// What the machine found itself to be; `None` outside of a TD.
pub fn info() -> Option<TrustDomain> {
    is_active().then(|| TrustDomain {
        attributes: ATTRIBUTES.load(Ordering::Relaxed),
        address_width: shared_bit().trailing_zeros() + 1,
        accepted: memory::accepted(),
        unaccepted: crate::mm::unaccepted(),
    })
}

/// Finds out whether this is a TD. First of all on the boot CPU: there is no exception handler and no console before.
#[cfg(target_os = "none")]
pub(crate) fn detect() {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    const LEAF: u32 = 0x21;
    if __cpuid(0).eax < LEAF {
        return;
    }
    let leaf = __cpuid_count(LEAF, 0);
    if ![leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).as_flattened().eq(b"IntelTDX    ") {
        return;
    }
    let mut registers = Registers::default();
    // SAFETY: CPUID says that we are in a TD; the call touches no memory.
    let status = unsafe { tdcall(Leaf::Info, &mut registers) };
    let width = registers.rcx & 0x3f;
    // Only the module answers here. Should it say anything else there is nobody to tell.
    if status.is_success() && (width == 48 || width == 52) {
        ATTRIBUTES.store(registers.rdx, Ordering::Relaxed);
        SHARED_BIT.store(1 << (width - 1), Ordering::Relaxed);
    }
}

/// Checks what a TD must have, once there is a console.
///
/// # Panics
/// If it lacks that: its owner must hear of it, and nothing that it would say can be relied on.
#[cfg(target_os = "none")]
pub(crate) fn check(command_line: &str) {
    if !is_active() {
        return;
    }
    let attributes = ATTRIBUTES.load(Ordering::Relaxed);
    log::info!(
        "tdx: trust domain, attributes {attributes:#x}, shared memory at bit {}",
        shared_bit().ilog2()
    );
    if attributes & attribute::DEBUG != 0 {
        log::warn!("tdx: a debug TD hides nothing from its host");
    }
    if attributes & attribute::NO_EXCEPTION_FOR_PAGES == 0 && forbid_page_exceptions().is_err() {
        // The host could raise exceptions at will, also where the kernel has no stack yet, by taking pages away.
        panic!("tdx: the TD has SEPT_VE_DISABLE off, and does not let us turn it on");
    }
    // Else the host could have exceptions raised that tell of single-stepping.
    if write_field(field::NOTIFY_ENABLES, 0, u64::MAX).is_err() {
        log::warn!("tdx: notifications stay as they are");
    }
    crate::random::require_hardware();
    if crate::boot::command_line::value(command_line, "coffer.accept") == Some("eagerly") {
        memory::be_eager();
    }
}

/// Fields of the TD (TDX Module ABI specification, TD-scope metadata).
#[cfg(target_os = "none")]
mod field {
    pub(super) const CONFIG_FLAGS: u64 = 0x1110_0003_0000_0016;
    pub(super) const CONTROLS: u64 = 0x1110_0003_0000_0017;
    pub(super) const NOTIFY_ENABLES: u64 = 0x9100_0000_0000_0010;
    /// In [`CONFIG_FLAGS`]: we may choose.
    pub(super) const IS_FLEXIBLE: u64 = 1 << 1;
    /// In [`CONTROLS`].
    pub(super) const NO_EXCEPTION_FOR_PAGES: u64 = 1;
}

#[cfg(target_os = "none")]
fn forbid_page_exceptions() -> Result<()> {
    let mut registers = Registers { rdx: field::CONFIG_FLAGS, ..Registers::default() };
    // SAFETY: touches no memory.
    let status = unsafe { tdcall(Leaf::ReadField, &mut registers) };
    if !status.is_success() || registers.r8 & field::IS_FLEXIBLE == 0 {
        return Err(Error::Device);
    }
    write_field(field::CONTROLS, field::NO_EXCEPTION_FOR_PAGES, field::NO_EXCEPTION_FOR_PAGES)
}

#[cfg(target_os = "none")]
fn write_field(field: u64, value: u64, mask: u64) -> Result<()> {
    let mut registers = Registers { rdx: field, r8: value, r9: mask, ..Registers::default() };
    // SAFETY: the fields above say what the module tells us of; none touches memory.
    let status = unsafe { tdcall(Leaf::WriteField, &mut registers) };
    if status.is_success() { Ok(()) } else { Err(Error::Device) }
}

/// Turns RAM that firmware left to us into memory that devices reach. Whatever was in it is gone.
///
/// # Panics
/// If the host refuses: no device would work.
pub(crate) fn share(range: core::ops::Range<usize>) {
    host::share(range).expect("the host shares the memory for devices");
}

/// A report on this TD that carries `data`: the module's word to others on the same machine, which a quote makes of for the world.
///
/// # Errors
/// [`Error::NoResource`] outside of a TD, [`Error::NoMemory`], [`Error::Device`] if the module refuses.
pub fn report(data: &[u8; REPORT_DATA_LEN]) -> Result<[u8; REPORT_LEN]> {
    require_active()?;
    let page = Segment::alloc_zeroed(1)?;
    page.write(REPORT_LEN, data);
    let paddr = page.paddr() as u64;
    let status = retried(&mut || {
        let mut registers = Registers { rcx: paddr, rdx: paddr + REPORT_LEN as u64, ..Registers::default() };
        // SAFETY: the module writes a report to the start of the page, which is ours and aligned to more than that, and reads what is behind.
        unsafe { tdcall(Leaf::Report, &mut registers) }
    });
    if !status.is_success() {
        return Err(Error::Device);
    }
    let mut report = [0; REPORT_LEN];
    page.read(0, &mut report);
    Ok(report)
}

/// Extends run-time measurement register `index` by `digest`.
///
/// # Errors
/// As [`report`]; [`Error::InvalidArgument`] if there is no such register.
pub fn extend_rtmr(index: u8, digest: &[u8; RTMR_LEN]) -> Result<()> {
    require_active()?;
    if index > 3 {
        return Err(Error::InvalidArgument);
    }
    let page = Segment::alloc_zeroed(1)?;
    page.write(0, digest);
    let status = retried(&mut || {
        let mut registers = Registers { rcx: page.paddr() as u64, rdx: index.into(), ..Registers::default() };
        // SAFETY: the module reads the start of the page, which is ours.
        unsafe { tdcall(Leaf::ExtendRtmr, &mut registers) }
    });
    if status.is_success() { Ok(()) } else { Err(Error::Device) }
}

/// Asks the host for a quote by the request in `memory` (GHCI, TDG.VP.VMCALL<GetQuote>), and returns at once. Until the status in `memory` says that the
/// host is done, it may write there: do not free it.
///
/// # Errors
/// [`Error::NoResource`] outside of a TD, [`Error::InvalidArgument`] for parts of pages, [`Error::Device`] if the host has no such service.
pub fn ask_for_quote(memory: &DmaCoherent) -> Result<()> {
    require_active()?;
    if !memory.len().is_multiple_of(crate::mm::PAGE_SIZE) {
        return Err(Error::InvalidArgument);
    }
    host::get_quote(memory.device_address() as usize, memory.len())
}

/// Has the host raise `line`, on the CPU that calls, when a quote is done.
///
/// # Errors
/// [`Error::NoResource`] outside of a TD, [`Error::Device`] if the host has no such service.
pub fn notify_by(line: &'static IrqLine) -> Result<()> {
    require_active()?;
    host::set_notify_vector(line.vector())
}

/// The ACPI table that tells of the firmware's event log (CCEL), and the log.
#[cfg(target_os = "none")]
pub fn event_log() -> Option<(Vec<u8>, Vec<u8>)> {
    /// The longest log that we take.
    const MAX_LEN: usize = 1 << 20;
    let ccel = crate::arch::boot::platform()?.ccel?;
    let (start, len) = (usize::try_from(ccel.log_address).ok()?, usize::try_from(ccel.log_len).ok()?);
    let log = crate::mm::copy_firmware_memory(start, len.min(MAX_LEN))?;
    Some((ccel.table.to_vec(), log))
}

/// There is none on the host.
#[cfg(not(target_os = "none"))]
pub fn event_log() -> Option<(Vec<u8>, Vec<u8>)> {
    None
}

fn require_active() -> Result<()> {
    if is_active() { Ok(()) } else { Err(Error::NoResource) }
}

#[cfg(test)]
mod tests {
    use super::{extend_rtmr, info, report};
    use crate::Error;

    #[test]
    fn outside_of_a_td_there_is_nobody_to_ask() {
        assert!(info().is_none());
        assert_eq!(report(&[0; 64]).unwrap_err(), Error::NoResource);
        assert_eq!(extend_rtmr(2, &[0; 48]), Err(Error::NoResource));
    }
}
