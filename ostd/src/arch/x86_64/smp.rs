//! Starting the other CPUs one after the other: by a trampoline below 1 MiB, INIT and STARTUP (Intel SDM vol. 3, 9.4.4), or in a TD by the mailbox at which
//! its firmware has them wait (ACPI 6.5, 5.2.12.19).

use super::{apic, boot, gdt, trap};
use crate::boot::{MemoryKind, MemoryRegion};
use crate::cpu;
use crate::mm::kspace::KernelStack;
use crate::tdx;
use crate::timer;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

/// A CPU that has not come up by then never will: hosts need microseconds, a loaded emulator milliseconds.
const START_TIMEOUT_NS: u64 = 200_000_000;
/// After this long the second STARTUP is sent, as the protocol wants for CPUs that missed the first.
const RETRY_NS: u64 = 10_000_000;
const MAILBOX_TIMEOUT_NS: u64 = 10_000_000_000;

unsafe extern "C" {
    static ap_trampoline: [u8; 0];
    static ap_trampoline_end: [u8; 0];
    static ap_fields: [u16; 6];
    static __kernel_start: [u8; 0];
    static ap_mailbox_entry: [u8; 0];
    static mut ap_mailbox_tables: u64;
    static mut ap_mailbox_stack: u64;
    static mut ap_mailbox_cpu: u64;
}

/// CPUs that have come as far as [`ap_start`].
static ARRIVED: AtomicUsize = AtomicUsize::new(1);

/// Starts all CPUs of the MADT, at most [`cpu::MAX_CPUS`]. One that does not start is left out, with a warning. A second call does nothing: an
/// INIT would reset a CPU that runs.
pub(crate) fn start_others() {
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if HAS_BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    let Some(platform) = boot::platform() else { return };
    let own = apic::id();
    let others = || platform.apic_ids.as_slice().iter().copied().filter(move |id| *id != own);
    if others().next().is_none() {
        return;
    }
    let way = if tdx::is_active() {
        platform.mailbox.and_then(Mailbox::find).map(Way::Mailbox)
    } else {
        low_page().map(Way::Startup)
    };
    let Some(way) = way else {
        log::warn!("no mailbox or free page below 1 MiB to start CPUs by: running on one");
        return;
    };
    for apic_id in others().take(cpu::MAX_CPUS - 1) {
        if !start(apic_id, &way) {
            log::warn!("CPU with APIC id {apic_id} did not start");
            // It may still come up late, with the number and the stack that it was given: nobody else can have them.
            return;
        }
    }
}

/// A page below 1 MiB that the firmware leaves to us. Memory management never hands out anything there.
fn low_page() -> Option<usize> {
    const FIRST: usize = 0x8000;
    let usable = crate::boot::info().memory.iter().filter(|r| r.kind == MemoryKind::Usable);
    usable
        .map(|r| (r.start.max(FIRST).next_multiple_of(0x1000), r.start + r.len))
        .find(|(page, end)| page + 0x1000 <= *end && page + 0x1000 <= 0x9_f000)
        .map(|(page, _)| page)
}

/// How CPUs are started.
enum Way {
    /// By the trampoline, which goes to this page.
    Startup(usize),
    Mailbox(Mailbox),
}

fn start(apic_id: u32, way: &Way) -> bool {
    let number = cpu::count();
    let Ok(stack) = KernelStack::new() else { return false };
    if apic::check_id(apic_id).is_err() {
        return false;
    }
    match way {
        Way::Startup(page) => {
            place_trampoline(*page, number, stack.top());
            apic::send_init(apic_id);
            apic::send_startup(apic_id, (page >> 12) as u8);
        }
        Way::Mailbox(mailbox) => mailbox.wake(apic_id, number, stack.top()),
    }
    // For good: the CPU may come up late, and its idle task lives there.
    core::mem::forget(stack);

    let began_ns = timer::now_ns();
    let mut has_retried = false;
    while ARRIVED.load(Ordering::Acquire) <= number {
        let waited_ns = timer::now_ns() - began_ns;
        match way {
            Way::Startup(_) if waited_ns > START_TIMEOUT_NS => return false,
            Way::Startup(page) if waited_ns > RETRY_NS && !has_retried => {
                has_retried = true;
                apic::send_startup(apic_id, (page >> 12) as u8);
            }
            // The CPU is there, at the host's leisure.
            Way::Mailbox(_) if waited_ns > MAILBOX_TIMEOUT_NS => return false,
            _ => core::hint::spin_loop(),
        }
    }
    cpu::add_online();
    true
}

/// The page at which firmware has the other CPUs wait, mapped.
struct Mailbox(usize);

impl Mailbox {
    const APIC_ID: usize = 4;
    const VECTOR: usize = 8;
    const WAKE_UP: u16 = 1;

    /// The page at `paddr`, if it is memory that firmware keeps.
    fn find(paddr: u64) -> Option<Self> {
        let start = usize::try_from(paddr).ok().filter(|start| start.is_multiple_of(0x1000))?;
        let is_kept = |r: &MemoryRegion| {
            r.kind == MemoryKind::AcpiNvs && r.start <= start && start + 0x1000 <= r.start + r.len
        };
        crate::boot::info().memory.iter().any(is_kept).then_some(Self(start))
    }

    /// Sends a CPU to our entry.
    fn wake(&self, apic_id: u32, number: usize, stack_top: usize) {
        let entry = (&raw const ap_mailbox_entry) as usize - (&raw const __kernel_start) as usize;
        let entry = (entry + boot::kernel_phys_base()) as u64;
        let parameters = [
            (&raw mut ap_mailbox_tables, crate::mm::kspace::root() as u64),
            (&raw mut ap_mailbox_stack, stack_top as u64),
            (&raw mut ap_mailbox_cpu, number as u64),
        ];
        for (at, value) in parameters {
            // SAFETY: words in the image that only CPUs that have not been woken yet look at.
            unsafe { at.write_volatile(value) };
        }
        let page = boot::early_ptr(self.0);
        // SAFETY: the page is mapped, and the operating system's to write (ACPI 6.5, table 5.44).
        unsafe { page.wrapping_add(Self::APIC_ID).cast::<u32>().write_volatile(apic_id) };
        // SAFETY: as above.
        unsafe { page.wrapping_add(Self::VECTOR).cast::<u64>().write_volatile(entry) };
        // SAFETY: as above. Last, for it is what the CPUs watch.
        unsafe { AtomicU16::from_ptr(page.cast()) }.store(Self::WAKE_UP, Ordering::Release);
    }
}

/// Copies the code and fills in what it needs to know.
fn place_trampoline(page: usize, number: usize, stack_top: usize) {
    let start = (&raw const ap_trampoline).cast::<u8>();
    let len = (&raw const ap_trampoline_end) as usize - start as usize;
    let target = boot::early_ptr(page);
    // SAFETY: the page is free (see `low_page`) and mapped, and the code is shorter than a page.
    unsafe { core::ptr::copy_nonoverlapping(start, target, len) };

    // SAFETY: a static in the image.
    let fields = unsafe { ap_fields };
    let [gdt_base, far_pointer, boot_tables, kernel_tables, stack, cpu_number] = fields.map(usize::from);
    let add_page = |offset: usize| {
        let field = target.wrapping_add(offset).cast::<u32>();
        // SAFETY: a field of the copy just made.
        let value = unsafe { field.read_unaligned() };
        // SAFETY: as above.
        unsafe { field.write_unaligned(value + page as u32) };
    };
    add_page(gdt_base);
    add_page(far_pointer);
    let set = |offset: usize, value: u64| {
        // SAFETY: a field of the copy just made.
        unsafe { target.wrapping_add(offset).cast::<u64>().write_unaligned(value) };
    };
    set(boot_tables, boot::early_tables() as u64);
    set(kernel_tables, crate::mm::kspace::root() as u64);
    set(stack, stack_top as u64);
    // SAFETY: the last field, four bytes long.
    unsafe { target.wrapping_add(cpu_number).cast::<u32>().write_unaligned(number as u32) };
    // The new CPU reads it through other tables; x86 keeps stores in order, the compiler must as well.
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// An application processor's first Rust code, with interrupts off, on its own stack, in the kernel's page tables.
#[unsafe(no_mangle)]
extern "C" fn ap_start(number: u32) -> ! {
    let number = number as usize;
    cpu::local::init(number);
    // SAFETY: we run on the kernel's tables.
    unsafe { crate::mm::init_cpu() };
    gdt::init(number);
    trap::idt::load();
    apic::init_local(number);
    timer::init_local();
    super::user::init_cpu();
    ARRIVED.fetch_add(1, Ordering::AcqRel);
    while cpu::count() <= number {
        core::hint::spin_loop();
    }
    crate::task::enter_idle()
}
