//! The UEFI application in front of the kernel: takes kernel, initramfs and command line out of its own image, puts them into
//! memory, ends boot services and jumps.
//!
//! Everything it reads is part of the one file that firmware measured; what else a loader supplies is refused inside a
//! trust domain (D4). Every length is checked all the same. See [`coffer_stub`] for the parts without firmware.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "talks to firmware and hands the machine over; the logic is in the forbidding library"
)]

mod firmware;
mod handover;

use coffer_stub::boot_params::{self, BootParams, SETUP_DATA_HEADER};
use coffer_stub::kernel::{ALIGNMENT, Kernel};
use coffer_stub::sections::Sections;
use coffer_stub::{command_line, e820};
use uefi::boot::MemoryType;
use uefi::{Status, entry, println};

/// Entries that the memory map may gain between being counted and being final: each allocation splits at most two, and the
/// firmware makes some of its own while boot services end.
const MAP_SLACK: usize = 64;

#[entry]
fn main() -> Status {
    match run() {
        Ok(never) => match never {},
        Err(error) => {
            println!("coffer: {error}");
            error.status()
        }
    }
}

/// Why the machine did not boot.
enum Error {
    Sections(coffer_stub::sections::Error),
    Kernel(coffer_stub::kernel::Error),
    Memory { purpose: &'static str, status: Status },
    Firmware { what: &'static str, status: Status },
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self {
            Self::Sections(error) => error.fmt(formatter),
            Self::Kernel(error) => error.fmt(formatter),
            Self::Memory { purpose, status } => write!(formatter, "no memory for {purpose} ({status})"),
            Self::Firmware { what, status } => {
                write!(formatter, "the firmware does not give {what} ({status})")
            }
        }
    }
}

impl Error {
    fn status(&self) -> Status {
        match self {
            Self::Sections(_) | Self::Kernel(_) => Status::LOAD_ERROR,
            Self::Memory { status, .. } | Self::Firmware { status, .. } => *status,
        }
    }
}

fn run() -> Result<core::convert::Infallible, Error> {
    let image = firmware::own_image()?;
    let sections = Sections::find(image.bytes).map_err(Error::Sections)?;

    let kernel = Kernel::parse(sections.kernel).map_err(Error::Kernel)?;
    let kernel_memory = firmware::allocate_aligned(kernel.span(), ALIGNMENT, "the kernel")?;
    kernel.load(kernel_memory).map_err(Error::Kernel)?;
    firmware::allow_execution(kernel_memory);

    let initramfs = firmware::allocate(sections.initramfs.len(), MemoryType::LOADER_DATA, "the initramfs")?;
    initramfs[..sections.initramfs.len()].copy_from_slice(sections.initramfs);
    let (line, line_len) = place_command_line(sections.command_line, image.options)?;

    let page = firmware::allocate(boot_params::SIZE, MemoryType::LOADER_DATA, "the boot parameters")?;
    let page =
        page.first_chunk_mut().ok_or(Error::Firmware { what: "whole pages", status: Status::LOAD_ERROR })?;
    let mut params = BootParams::new(page);
    params.set_ramdisk(firmware::address(initramfs), sections.initramfs.len() as u64);
    params.set_command_line(firmware::address(line), line_len);
    params.set_acpi_rsdp(firmware::acpi_root().unwrap_or(0));

    let entries = firmware::memory_map_len()? + MAP_SLACK;
    let ext_len = SETUP_DATA_HEADER + entries * e820::ENTRY_SIZE;
    let ext = firmware::allocate(ext_len, MemoryType::LOADER_DATA, "the memory map")?;

    let entry = kernel.entry(firmware::address(kernel_memory));
    handover::leave(entry, params, ext)
}

/// Joins the built-in line and, outside of a trust domain, the loader's options; NUL-terminated.
fn place_command_line(built_in: &str, options: &[u8]) -> Result<(&'static mut [u8], u32), Error> {
    let options = if firmware::is_trust_domain() { &[] } else { options };
    let options = command_line::loader_options(options);
    let extra = options.into_iter().flat_map(|text| core::iter::once(b' ').chain(text));
    let len = built_in.len() + extra.clone().count();
    let too_long = Error::Memory { purpose: "the command line", status: Status::BAD_BUFFER_SIZE };
    let reported_len = u32::try_from(len).map_err(|_| too_long)?;

    let line = firmware::allocate(len + 1, MemoryType::LOADER_DATA, "the command line")?;
    for (slot, byte) in line.iter_mut().zip(built_in.bytes().chain(extra)) {
        *slot = byte;
    }
    Ok((line, reported_len))
}
