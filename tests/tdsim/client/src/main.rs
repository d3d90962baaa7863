//! The tdx-guest crate as a client of the simulated TDX module: it has its own idea of every register and every structure.
//!
//! Prints `ok NAME` for each case, like tests/tdsim/payload; ends by the debug exit port.
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use tdx_guest::tdcall;
use tdx_guest::tdvmcall::{self, IoSize};
use tdx_guest::{TdAttributes, TdgVeInfo, TdxTrapFrame, serial_println};

global_asm!(include_str!("entry.S"), options(att_syntax));

const PASSED: u32 = 0x10;
const FAILED: u32 = 0x31;
const DEBUG_EXIT: u16 = 0xf4;

/// Memory that the loader has not accepted.
const SPARE: u64 = 128 << 20;
const LARGE: u64 = 2 << 20;
const SHARED_ALIAS: u64 = 0xffff_8000_0000_0000;
const LINK_OFFSET: u64 = 0xffff_ffff_8000_0000;

type Verdict = Result<(), &'static str>;

const CASES: [(&str, fn() -> Verdict); 9] = [
    ("client/init", init),
    ("client/metadata", metadata),
    ("client/accept_memory", accept_memory),
    ("client/map_gpa", map_gpa),
    ("client/report", report),
    ("client/cpuid_exception", cpuid_exception),
    ("client/port_exception", port_exception),
    ("client/register_exception", register_exception),
    ("client/device_exception", device_exception),
];

#[unsafe(no_mangle)]
extern "C" fn client_start() -> ! {
    load_exceptions();
    let mut code = PASSED;
    for (name, case) in CASES {
        match case() {
            Ok(()) => serial_println!("ok {}", name),
            Err(why) => {
                serial_println!("FAIL {}: {}", name, why);
                code = FAILED;
            }
        }
    }
    exit(code)
}

fn exit(code: u32) -> ! {
    loop {
        let _refused = tdvmcall::io_write(IoSize::Size1, DEBUG_EXIT, code);
    }
}

fn check(holds: bool, why: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(why) }
}

fn init() -> Verdict {
    let info = tdx_guest::init_tdx().map_err(|_| "init_tdx fails")?;
    check(tdx_guest::tdx_is_enabled() && tdx_guest::is_tdx_guest_early(), "it is no trust domain")?;
    check(tdx_guest::shared_mask() == 1 << 47, "the shared bit is not the 48th")?;
    check(info.attributes == TdAttributes::SEPT_VE_DISABLE, "the attributes are others")?;
    check(info.num_vcpus == 1 && info.vcpu_index == 0, "the processors are others")
}

fn metadata() -> Verdict {
    let flags = tdcall::read_td_metadata(tdx_guest::metadata::CONFIG_FLAGS);
    check(flags.is_ok_and(|flags| flags & 1 == 0), "CONFIG_FLAGS does not say 48 bits")?;
    let written = tdcall::write_td_metadata(tdx_guest::metadata::NOTIFY_ENABLES, 0, u64::MAX);
    check(written.is_ok(), "NOTIFY_ENABLES cannot be cleared")?;
    let info = tdcall::get_tdinfo().map_err(|_| "get_tdinfo fails")?;
    check(tdx_guest::disable_sept_ve(info.attributes).is_ok(), "pending pages may raise exceptions")
}

/// 40 MiB that begin within a large page: it tries 1 GiB, 2 MiB, 4 KiB.
fn accept_memory() -> Verdict {
    let (start, end) = (SPARE + 0x3000, SPARE + 20 * LARGE);
    // SAFETY: memory that nobody has accepted or uses.
    unsafe { tdx_guest::accept_memory(start, end) }.map_err(|_| "it is not accepted")?;
    for gpa in [start, SPARE + 5 * LARGE, end - 8] {
        // SAFETY: accepted by the line before.
        check(unsafe { ptr::read_volatile(gpa as *const u64) } == 0, "it is not zero")?;
    }
    // SAFETY: the module refuses it, that is the point.
    check(unsafe { tdx_guest::accept_page(0, start) }.is_err(), "a page is accepted twice")
}

fn map_gpa() -> Verdict {
    let gpa = SPARE + 40 * LARGE;
    let (mut at, end) = (gpa | tdx_guest::shared_mask(), (gpa | tdx_guest::shared_mask()) + LARGE);
    for _ in 0..8 {
        match tdvmcall::map_gpa(at, end - at) {
            Ok(()) => break,
            Err((next, _)) if next > at && next < end => at = next,
            Err(_) => return Err("it fails"),
        }
    }
    let alias = (SHARED_ALIAS + gpa) as *mut u64;
    // SAFETY: shared now, and nobody's.
    unsafe { alias.write_volatile(0x77) };
    // SAFETY: as above.
    check(unsafe { alias.read_volatile() } == 0x77, "shared memory does not keep what is written")
}

#[repr(C, align(1024))]
struct Report([u8; 1024]);

#[repr(C, align(64))]
struct Data([u8; 64]);

static mut REPORT: Report = Report([0; 1024]);
static mut DATA: Data = Data([0x5a; 64]);

fn report() -> Verdict {
    let to = &raw const REPORT;
    let (report, data) = (to as u64 - LINK_OFFSET, &raw const DATA as u64 - LINK_OFFSET);
    tdcall::get_report(report, data).map_err(|_| "get_report fails")?;
    let byte = |at: usize| {
        // SAFETY: within the structure, which only the module writes, and not now.
        unsafe { to.cast::<u8>().wrapping_add(at).read_volatile() }
    };
    check(
        byte(0) == 0x81 && byte(128) == 0x5a && byte(191) == 0x5a,
        "it is not the report that was asked for",
    )?;
    tdcall::extend_rtmr(data, 2).map_err(|_| "extend_rtmr fails")?;
    check(tdcall::extend_rtmr(data, 4).is_err(), "there is a fifth register")
}

fn cpuid_exception() -> Verdict {
    let found = core::arch::x86_64::__cpuid(0x4000_0000);
    check(found.ebx == u32::from_le_bytes(*b"KVMK"), "the hypervisor's leaf is not what the VMM says")
}

fn port_exception() -> Verdict {
    let status: u8;
    // SAFETY: the line status of the serial console.
    unsafe { asm!("in al, dx", in("dx") 0x3fd_u16, out("al") status) };
    check(status & 0x60 == 0x60, "the console's transmitter is never empty")
}

fn register_exception() -> Verdict {
    let (low, high): (u32, u32);
    // SAFETY: reads IA32_APIC_BASE.
    unsafe { asm!("rdmsr", in("ecx") 0x1b, out("eax") low, out("edx") high) };
    check(low & 0xfffff000 == 0xfee0_0000 && high == 0, "the APIC is elsewhere")
}

/// The I/O APIC by MOV, which the crate decodes by another decoder than the module.
fn device_exception() -> Verdict {
    let base = (SHARED_ALIAS + 0xfec0_0000) as *mut u32;
    // SAFETY: selects the version register.
    unsafe { base.write_volatile(1) };
    // SAFETY: reads it.
    let version = unsafe { base.wrapping_add(4).read_volatile() };
    check(version & 0xff == 0x20, "the I/O APIC's version is not QEMU's")
}

/// What `entry.S` pushes.
#[repr(C)]
struct Frame {
    r15: usize,
    r14: usize,
    r13: usize,
    r12: usize,
    r11: usize,
    r10: usize,
    r9: usize,
    r8: usize,
    rbp: usize,
    rdi: usize,
    rsi: usize,
    rdx: usize,
    rcx: usize,
    rbx: usize,
    rax: usize,
    vector: usize,
    error: usize,
    rip: usize,
}

macro_rules! registers {
    ($($name:ident $set:ident),+) => {
        impl TdxTrapFrame for Frame {
            $(
                fn $name(&self) -> usize { self.$name }
                fn $set(&mut self, value: usize) { self.$name = value; }
            )+
        }
    };
}

registers!(
    rax set_rax, rbx set_rbx, rcx set_rcx, rdx set_rdx, rsi set_rsi, rdi set_rdi, rip set_rip, r8 set_r8,
    r9 set_r9, r10 set_r10, r11 set_r11, r12 set_r12, r13 set_r13, r14 set_r14, r15 set_r15, rbp set_rbp
);

#[unsafe(no_mangle)]
extern "C" fn client_exception(frame: &mut Frame) {
    const VIRTUALISATION: usize = 20;
    assert!(
        frame.vector == VIRTUALISATION,
        "exception {} at {:#x}, error {:#x}",
        frame.vector,
        frame.rip,
        frame.error
    );
    let info: TdgVeInfo = tdx_guest::get_veinfo().expect("there is information on the exception");
    tdx_guest::handle_virtual_exception(frame, &info);
}

#[unsafe(no_mangle)]
static mut IDT: [[u64; 2]; 32] = [[0; 2]; 32];

unsafe extern "C" {
    static exception_stubs: [u8; 0];
}

fn load_exceptions() {
    let stubs = (&raw const exception_stubs) as u64;
    for vector in 0..32 {
        let target = stubs + vector * 16;
        let low = target & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (target >> 16 & 0xffff) << 48;
        let place = (&raw mut IDT).cast::<[u64; 2]>().wrapping_add(vector as usize);
        // SAFETY: one of 32; nothing faults meanwhile.
        unsafe { place.write([low, target >> 32]) };
    }
}

/// The crate's decoder is linked with an allocator, and has tables of its own made once.
struct Bump;

static mut HEAP: [u8; 1 << 20] = [0; 1 << 20];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each call gets bytes of its own, aligned, until there are none.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = TAKEN.load(Ordering::Relaxed).next_multiple_of(layout.align());
        TAKEN.store(start + layout.size(), Ordering::Relaxed);
        if start + layout.size() > 1 << 20 {
            ptr::null_mut()
        } else {
            (&raw mut HEAP).cast::<u8>().wrapping_add(start)
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    serial_println!("FAIL client: {}", info);
    exit(FAILED)
}
