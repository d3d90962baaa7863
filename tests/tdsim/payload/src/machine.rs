//! The bare machine: registers, exceptions, instructions that are tried out, memory by address.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::td;

/// General registers, in the order of `entry.S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// What an instruction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went through.
    Done,
    /// A fault, with its error code.
    Fault(u8, u32),
    /// A virtualisation exception: reason, qualification, length.
    Ve(td::Ve),
}

/// What the processor pushes, below a vector and an error code.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

unsafe extern "C" {
    fn try_code(registers: *mut Registers, code: *const u8);
    fn try_user_code(code: *const u8);
    static interrupt_stubs: [u8; 0];
    static second_entry: [u8; 0];
    static mut pdpt_shared: [u64; 512];
    static mut task_descriptor: [u64; 2];
}

#[unsafe(no_mangle)]
static SAVED_STACK: AtomicU64 = AtomicU64::new(0);
#[unsafe(no_mangle)]
static RESUME: AtomicU64 = AtomicU64::new(0);
#[unsafe(no_mangle)]
static mut IDT: [[u64; 2]; 256] = [[0; 2]; 256];

/// A task state segment: only the stack of ring 0 matters.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    stacks: [u64; 3],
    rest: [u32; 19],
}

static mut TASK_STATE: TaskState = TaskState { reserved: 0, stacks: [0; 3], rest: [0; 19] };

/// A page, for use by its address.
#[repr(align(4096))]
pub struct Page(#[expect(dead_code, reason = "reached by address only")] [u8; 4096]);

impl Page {
    /// Zeros.
    pub const ZERO: Self = Self([0; 4096]);
}

static mut CODE: Page = Page::ZERO;
static mut RING_0_STACK: [Page; 2] = [const { Page::ZERO }; 2];

/// The last exception that was caught: vector, error code.
static VECTOR: AtomicU8 = AtomicU8::new(0);
static ERROR: AtomicU32 = AtomicU32::new(0);
/// Whether the handler leaves the information on a virtualisation exception where it is.
static LEAVES_INFORMATION: AtomicBool = AtomicBool::new(false);
/// How often each vector has come as an interrupt.
static INTERRUPTS: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];

const LINK_OFFSET: u64 = 0xffff_ffff_8000_0000;
const SHARED_ALIAS: u64 = 0xffff_8000_0000_0000;
/// Memory that no case but those of memory uses; not accepted by the loader.
pub const SPARE: u64 = 128 << 20;

/// Makes exceptions work, and maps the shared alias of memory.
pub fn init() {
    let stubs = (&raw const interrupt_stubs) as u64;
    for vector in 0..256 {
        let target = stubs + vector * 16;
        let low = target & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (target >> 16 & 0xffff) << 48;
        let place = (&raw mut IDT).cast::<[u64; 2]>().wrapping_add(vector as usize);
        // SAFETY: one of 256; nothing faults meanwhile.
        unsafe { place.write([low, target >> 32]) };
    }
    let stack = (&raw const RING_0_STACK) as u64 + 8192;
    let place = (&raw mut TASK_STATE).cast::<u8>().wrapping_add(4).cast::<u64>();
    // SAFETY: the first stack of the static, which nobody uses yet.
    unsafe { place.write_unaligned(stack) };
    let base = (&raw const TASK_STATE) as u64;
    let low = 103 | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    let place = &raw mut task_descriptor;
    // SAFETY: an entry of the GDT that is not in use yet.
    unsafe { place.write([low, base >> 32]) };
    // SAFETY: the descriptor of the line before.
    unsafe { core::arch::asm!("ltr {0:x}", in(reg) 0x30, options(nostack)) };
    let shared_bit = td::shared_bit();
    for number in 0..512 {
        let place = (&raw mut pdpt_shared).cast::<u64>().wrapping_add(number);
        // SAFETY: one of 512, of a table that maps nothing yet.
        unsafe { place.write((number as u64) << 30 | shared_bit | 0x87) };
    }
}

/// An interrupt or exception.
#[unsafe(no_mangle)]
extern "C" fn payload_interrupt(frame: &mut Frame) {
    let vector = frame.vector as u8;
    if vector >= 32 {
        INTERRUPTS[vector as usize].fetch_add(1, Ordering::SeqCst);
        td::end_of_interrupt();
        return;
    }
    let resume = RESUME.load(Ordering::SeqCst);
    assert!(resume != 0, "exception {vector} at {:#x}, error {:#x}", frame.rip, frame.error);
    VECTOR.store(vector, Ordering::SeqCst);
    ERROR.store(frame.error as u32, Ordering::SeqCst);
    (frame.rip, frame.cs, frame.ss) = (resume, 0x10, 0x18);
    frame.rsp = SAVED_STACK.load(Ordering::SeqCst);
}

/// How often an interrupt has come.
pub fn interrupts(vector: u8) -> u32 {
    INTERRUPTS[vector as usize].load(Ordering::SeqCst)
}

/// Tries an instruction with registers, which are as it left them afterwards.
pub fn attempt(code: &[u8], registers: &mut Registers) -> Outcome {
    VECTOR.store(u8::MAX, Ordering::SeqCst);
    let place = place(code);
    // SAFETY: all registers are restored, and what faults comes back.
    unsafe { try_code(registers, place) };
    outcome()
}

/// The same without registers.
pub fn attempt_plain(code: &[u8]) -> Outcome {
    attempt(code, &mut Registers::default())
}

/// Tries an instruction in ring 3, where it has to fault.
pub fn attempt_in_ring_3(code: &[u8]) -> Outcome {
    VECTOR.store(u8::MAX, Ordering::SeqCst);
    let place = place(code);
    // SAFETY: as in `attempt`; what does not fault runs into UD2.
    unsafe { try_user_code(place) };
    outcome()
}

/// Leaves the information on virtualisation exceptions where it is while `body` runs.
pub fn leaving_information<T>(body: impl FnOnce() -> T) -> T {
    LEAVES_INFORMATION.store(true, Ordering::SeqCst);
    let result = body();
    LEAVES_INFORMATION.store(false, Ordering::SeqCst);
    result
}

fn place(code: &[u8]) -> *const u8 {
    const RET_UD2: [u8; 3] = [0xc3, 0x0f, 0x0b];
    let start = (&raw mut CODE).cast::<u8>();
    // SAFETY: a page of ours, longer than any instruction; nobody runs it now.
    unsafe { ptr::copy_nonoverlapping(code.as_ptr(), start, code.len()) };
    let end = start.wrapping_add(code.len());
    // SAFETY: as above.
    unsafe { ptr::copy_nonoverlapping(RET_UD2.as_ptr(), end, RET_UD2.len()) };
    start
}

fn outcome() -> Outcome {
    const VE: u8 = 20;
    match VECTOR.load(Ordering::SeqCst) {
        u8::MAX => Outcome::Done,
        VE if !LEAVES_INFORMATION.load(Ordering::SeqCst) => Outcome::Ve(td::ve_info().unwrap_or_default()),
        vector => Outcome::Fault(vector, ERROR.load(Ordering::SeqCst)),
    }
}

/// The physical address of something of ours.
pub fn physical<T>(object: *const T) -> u64 {
    object as u64 - LINK_OFFSET
}

/// Where the second processor is to start.
pub fn second_entry_address() -> u64 {
    (&raw const second_entry) as u64 - LINK_OFFSET
}

/// Reads memory at a guest physical address.
pub fn read<T: Copy>(gpa: u64) -> T {
    // SAFETY: the cases name memory that is theirs, or mean to fault.
    unsafe { (gpa as *const T).read_volatile() }
}

/// Writes memory at a guest physical address.
pub fn write<T: Copy>(gpa: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { (gpa as *mut T).write_volatile(value) };
}

/// Where the shared alias of an address is mapped.
pub fn shared(gpa: u64) -> u64 {
    SHARED_ALIAS + gpa
}

/// The zero page of the boot protocol.
const ZERO_PAGE: u64 = 0x1_0000;

/// The command line.
pub fn command_line() -> &'static str {
    let address = u64::from(read::<u32>(ZERO_PAGE + 0x228));
    let len = (0..4096).take_while(|offset| read::<u8>(address + offset) != 0).count();
    // SAFETY: the loader's, which nobody writes.
    let bytes = unsafe { core::slice::from_raw_parts(address as *const u8, len) };
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// A table of ACPI, by its signature.
pub fn acpi_table(signature: [u8; 4]) -> Option<u64> {
    let rsdp: u64 = read(ZERO_PAGE + 0x70);
    let xsdt: u64 = read(rsdp + 24);
    let entries = (u64::from(read::<u32>(xsdt + 4)) - 36) / 8;
    // Entries are not aligned to their size.
    let half = |at: u64| u64::from(read::<u32>(at));
    (0..entries)
        .map(|number| xsdt + 36 + number * 8)
        .map(|at| half(at) | half(at + 4) << 32)
        .find(|table| read::<[u8; 4]>(*table) == signature)
}

/// The time stamp counter.
pub fn tsc() -> u64 {
    // SAFETY: every processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Lets interrupts in.
pub fn enable_interrupts() {
    // SAFETY: all vectors have handlers.
    unsafe { core::arch::asm!("sti", options(nostack)) };
}

/// Lets in what waits. Not with PAUSE: QEMU's keeps interrupts away for one instruction more.
pub fn let_interrupts_in() {
    // SAFETY: all vectors have handlers.
    unsafe { core::arch::asm!("sti", "nop", "nop", "cli", options(nostack)) };
}

/// Keeps interrupts away.
pub fn disable_interrupts() {
    // SAFETY: nothing is lost by it.
    unsafe { core::arch::asm!("cli", options(nostack)) };
}
