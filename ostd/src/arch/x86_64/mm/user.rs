//! Access to user memory that may fault: assembly whose every user access has a row in the exception table (section `.ex_table`:
//! address of the instruction, address to go on at), which [`find_fixup`] searches when the kernel takes a page fault.
//!
//! Under SMAP user pages are open to the kernel between `stac` and `clac` only. Both are undefined where the CPU lacks SMAP, hence the test.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, Ordering};

static HAS_SMAP: AtomicBool = AtomicBool::new(false);

/// From now on accesses open user pages.
pub(super) fn enable_smap() {
    HAS_SMAP.store(true, Ordering::Relaxed);
}

/// Closes user pages to the kernel, for code that a fault in here calls.
pub(super) fn close() {
    if HAS_SMAP.load(Ordering::Relaxed) {
        // SAFETY: the CPU has SMAP; this only takes a right away.
        unsafe { core::arch::asm!("clac", options(nomem, nostack)) };
    }
}

/// Where to go on after a fault at `rip`; `None` if no fault is expected there.
pub(crate) fn find_fixup(rip: usize) -> Option<usize> {
    unsafe extern "C" {
        static __ex_table_start: [usize; 2];
        static __ex_table_end: [usize; 2];
    }
    let start = &raw const __ex_table_start;
    let rows = (&raw const __ex_table_end as usize - start as usize) / size_of::<[usize; 2]>();
    // SAFETY: the linker script puts the rows, which nobody writes, between the two symbols.
    let table = unsafe { core::slice::from_raw_parts(start, rows) };
    table.iter().find(|row| row[0] == rip).map(|row| row[1])
}

macro_rules! open_user {
    () => {
        "cmp byte ptr [rip + {smap}], 0
         je 99f
         stac
         99:"
    };
}

macro_rules! close_user {
    () => {
        "cmp byte ptr [rip + {smap}], 0
         je 98f
         clac
         98:"
    };
}

/// Declares that a fault at one label goes on at another.
macro_rules! fixup {
    ($at:literal, $to:literal) => {
        concat!(".pushsection .ex_table, \"a\"\n.balign 8\n.quad ", $at, ", ", $to, "\n.popsection")
    };
}

/// Copies `len` bytes where one side is user memory; returns how many were left when a fault could not be served, else 0.
///
/// # Safety
/// The kernel side has `len` bytes that are ours (or untyped); the user side lies in user space.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn copy_user(to: *mut u8, from: *const u8, len: usize) -> usize {
    naked_asm!(
        open_user!(),
        // Short copies go word by word: starting up `rep` costs real CPUs more.
        "cmp rdx, 64",
        "jb 3f",
        "mov rcx, rdx",
        "shr rcx, 3",
        "and edx, 7",
        "2: rep movsq",
        "3: cmp rdx, 8",
        "jb 5f",
        "4: mov rax, [rsi]",
        "44: mov [rdi], rax",
        "add rsi, 8",
        "add rdi, 8",
        "sub rdx, 8",
        "jmp 3b",
        "5: test dl, 4",
        "jz 6f",
        "51: mov eax, [rsi]",
        "52: mov [rdi], eax",
        "add rsi, 4",
        "add rdi, 4",
        "sub rdx, 4",
        "6: test dl, 2",
        "jz 7f",
        "61: mov ax, [rsi]",
        "62: mov [rdi], ax",
        "add rsi, 2",
        "add rdi, 2",
        "sub rdx, 2",
        "7: test dl, dl",
        "jz 9f",
        // Byte by byte: the last byte, and what can still be had after a fault.
        "71: mov al, [rsi]",
        "72: mov [rdi], al",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jnz 71b",
        "9:",
        close_user!(),
        "mov rax, rdx",
        "ret",
        "8: lea rdx, [rdx + 8 * rcx]",
        "jmp 71b",
        fixup!("2b", "8b"),
        fixup!("4b", "71b"),
        fixup!("44b", "71b"),
        fixup!("51b", "71b"),
        fixup!("52b", "71b"),
        fixup!("61b", "71b"),
        fixup!("62b", "71b"),
        fixup!("71b", "9b"),
        fixup!("72b", "9b"),
        smap = sym HAS_SMAP,
    )
}

/// Zeroes `len` bytes of user memory; returns how many were left when a fault could not be served, else 0.
///
/// # Safety
/// The range lies in user space.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn zero_user(to: *mut u8, len: usize) -> usize {
    naked_asm!(
        open_user!(),
        "mov edx, esi",
        "and edx, 7",
        "mov rcx, rsi",
        "shr rcx, 3",
        "xor eax, eax",
        "2: rep stosq",
        "mov ecx, edx",
        "3: rep stosb",
        "4:",
        close_user!(),
        "mov rax, rcx",
        "ret",
        "5: lea rcx, [rdx + 8 * rcx]",
        "jmp 3b",
        fixup!("2b", "5b"),
        fixup!("3b", "4b"),
        smap = sym HAS_SMAP,
    )
}

/// Loads a user `u32`; `None` on a fault.
///
/// # Safety
/// `from` lies in user space and is aligned.
pub(crate) unsafe fn load_user_u32(from: *const u32) -> Option<u32> {
    /// # Safety
    /// As the function around it.
    #[unsafe(naked)]
    unsafe extern "C" fn load(from: *const u32) -> u64 {
        naked_asm!(
            open_user!(),
            "2: mov eax, [rdi]",
            "3:",
            close_user!(),
            "ret",
            "4: mov rax, -1",
            "jmp 3b",
            fixup!("2b", "4b"),
            smap = sym HAS_SMAP,
        )
    }
    // SAFETY: by contract.
    u32::try_from(unsafe { load(from) }).ok()
}

/// Replaces a user `u32` by `new` if it is `expected`; gives what was there, `None` on a fault.
///
/// # Safety
/// `at` lies in user space and is aligned.
pub(crate) unsafe fn compare_exchange_user_u32(at: *mut u32, expected: u32, new: u32) -> Option<u32> {
    /// # Safety
    /// As the function around it.
    #[unsafe(naked)]
    unsafe extern "C" fn exchange(at: *mut u32, expected: u32, new: u32) -> u64 {
        naked_asm!(
            open_user!(),
            "mov eax, esi",
            "2: lock cmpxchg [rdi], edx",
            "3:",
            close_user!(),
            "ret",
            "4: mov rax, -1",
            "jmp 3b",
            fixup!("2b", "4b"),
            smap = sym HAS_SMAP,
        )
    }
    // SAFETY: by contract.
    u32::try_from(unsafe { exchange(at, expected, new) }).ok()
}

/// How a string copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringEnd {
    /// With the NUL.
    Nul,
    /// With the buffer.
    Full,
    /// With a fault.
    Fault,
}

/// Copies a string up to its NUL or up to `len` bytes; gives the bytes before the end, and what that was.
///
/// # Safety
/// `to` has `len` bytes that are ours; `len` bytes at `from` lie in user space.
pub(crate) unsafe fn copy_user_string(to: *mut u8, from: *const u8, len: usize) -> (usize, StringEnd) {
    #[repr(C)]
    struct Outcome {
        left: usize,
        end: u64,
    }
    /// # Safety
    /// As the function around it.
    #[unsafe(naked)]
    unsafe extern "C" fn copy(to: *mut u8, from: *const u8, len: usize) -> Outcome {
        naked_asm!(
            open_user!(),
            "mov r9, 0x0101010101010101",
            "mov r10, 0x8080808080808080",
            "2: cmp rdx, 8",
            "jb 5f",
            "3: mov rax, [rsi]",
            // The lowest bit set in (word - 01..01) & !word & 80..80 marks the first zero byte.
            "mov rcx, rax",
            "sub rcx, r9",
            "mov r11, rax",
            "not r11",
            "and rcx, r11",
            "mov [rdi], rax",
            "and rcx, r10",
            "jnz 4f",
            "add rsi, 8",
            "add rdi, 8",
            "sub rdx, 8",
            "jmp 2b",
            "4: bsf rcx, rcx",
            "shr ecx, 3",
            "sub rdx, rcx",
            "jmp 7f",
            // Near the end of the buffer or of what is mapped: byte by byte.
            "5: test rdx, rdx",
            "mov ecx, 1",
            "jz 8f",
            "6: mov al, [rsi]",
            "mov [rdi], al",
            "test al, al",
            "jz 7f",
            "inc rsi",
            "inc rdi",
            "dec rdx",
            "jmp 5b",
            "7: xor ecx, ecx",
            "8:",
            close_user!(),
            "mov rax, rdx",
            "mov rdx, rcx",
            "ret",
            "9: mov ecx, 2",
            "jmp 8b",
            fixup!("3b", "5b"),
            fixup!("6b", "9b"),
            smap = sym HAS_SMAP,
        )
    }
    // SAFETY: by contract.
    let outcome = unsafe { copy(to, from, len) };
    let end = match outcome.end {
        0 => StringEnd::Nul,
        1 => StringEnd::Full,
        _ => StringEnd::Fault,
    };
    (len - outcome.left, end)
}
