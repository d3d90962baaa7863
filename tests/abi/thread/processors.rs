//! What one CPU does under the eyes of another: rights and pages taken away, pages copied on write, code written anew, and vector
//! registers of threads that take turns and get signals. Each case goes on for a while, because what it looks for is a race.

use std::arch::asm;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{getpid, gettid};

use crate::case::{Outcome, cases, check, check_eq, skip};
use crate::child;
use crate::memory::Mapping;
use crate::raw;

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

cases!("thread":
    a_protected_page_is_closed_to_other_threads_at_once,
    a_replaced_page_is_gone_for_other_threads_at_once,
    forks_see_one_moment_and_lose_no_writes,
    rewritten_code_runs_on_other_threads,
    vector_registers_survive_switches_and_signals,
);

/// How long each case goes on.
const WHILE: Duration = Duration::from_millis(1500);

const PAGE: usize = 4096;

/// Calls `round` with 1, 2, 3, … for a while, or until it fails.
fn for_a_while(mut round: impl FnMut(u64) -> Outcome) -> Outcome<u64> {
    let end = Instant::now() + WHILE;
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        round(number)?;
    }
    Ok(number)
}

/// Sets its flag when it is dropped, so that threads of a scope end even if the case fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The page that is closed, an odd number while it is, and how often somebody ran into it.
static CLOSED_PAGE: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicU64 = AtomicU64::new(0);
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// Waits until the page is open again and tries anew, as runtimes do that stop their threads by a page.
extern "C" fn wait_for_page(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a filled-in siginfo.
    let info = unsafe { &*info };
    // SAFETY: that of SIGSEGV has an address.
    let address = unsafe { info.si_addr() } as usize;
    if address & !(PAGE - 1) != CLOSED_PAGE.load(Ordering::SeqCst) {
        child::exit_now(42);
    }
    STOPPED.fetch_add(1, Ordering::SeqCst);
    while CLOSED.load(Ordering::SeqCst) % 2 == 1 {
        std::hint::spin_loop();
    }
}

fn a_protected_page_is_closed_to_other_threads_at_once() -> Outcome {
    let page = Mapping::anonymous(PAGE)?;
    page.touch(1);
    CLOSED_PAGE.store(page.address(), Ordering::SeqCst);
    let action = SigAction::new(SigHandler::SigAction(wait_for_page), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only uses atomics, and leaves the process by _exit.
    unsafe { sigaction(Signal::SIGSEGV, &action) }?;

    let (is_over, late) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = page.address();
    let rounds = thread::scope(|scope| {
        let end = End(&is_over);
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let before = CLOSED.load(Ordering::SeqCst);
                    // SAFETY: the mapping outlives the scope; where it is closed the handler waits.
                    unsafe { (address as *const u8).read_volatile() };
                    if before % 2 == 1 && CLOSED.load(Ordering::SeqCst) == before {
                        late.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let rounds = for_a_while(|_| {
            let stopped = STOPPED.load(Ordering::SeqCst);
            page.protect(0..PAGE, ProtFlags::PROT_NONE)?;
            CLOSED.fetch_add(1, Ordering::SeqCst);
            // A few rounds of waiting: the others may be off their CPUs.
            for _ in 0..1000 {
                if STOPPED.load(Ordering::SeqCst) > stopped {
                    break;
                }
                std::hint::spin_loop();
            }
            // Opened first: whoever reads now has not read what was closed.
            CLOSED.fetch_add(1, Ordering::SeqCst);
            Ok(page.protect(0..PAGE, ProtFlags::PROT_READ)?)
        });
        drop(end);
        rounds
    })?;
    check!(rounds > 100, "only {rounds} rounds");
    check!(STOPPED.load(Ordering::SeqCst) > 0, "nobody ran into the closed page");
    check_eq!(late.load(Ordering::SeqCst), 0);
    Ok(())
}

fn a_replaced_page_is_gone_for_other_threads_at_once() -> Outcome {
    let memory = Mapping::anonymous(PAGE)?;
    let word = memory.address() as *const AtomicU64 as usize;
    let (is_over, published, stale) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let size = std::num::NonZeroUsize::new(PAGE).ok_or(nix::errno::Errno::EINVAL)?;
    thread::scope(|scope| {
        let end = End(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let before = published.load(Ordering::SeqCst);
                // SAFETY: something is always mapped there, and all access to it is atomic.
                let seen = unsafe { &*(word as *const AtomicU64) }.load(Ordering::SeqCst);
                if before % 2 == 0 && published.load(Ordering::SeqCst) == before && seen != before {
                    stale.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let result = for_a_while(|round| {
            // Odd while the page is being replaced.
            published.store(round * 2 - 1, Ordering::SeqCst);
            let fixed = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS | MapFlags::MAP_FIXED;
            // SAFETY: replaces a page of a mapping that this case owns and that is only accessed atomically.
            unsafe { mmap_anonymous(std::num::NonZeroUsize::new(word), size, READ_WRITE, fixed) }?;
            // SAFETY: as above.
            unsafe { &*(word as *const AtomicU64) }.store(round * 2, Ordering::SeqCst);
            published.store(round * 2, Ordering::SeqCst);
            // Now and then long enough for the other thread to look at it.
            for _ in 0..round % 64 {
                std::hint::spin_loop();
            }
            Ok(())
        });
        drop(end);
        result
    })?;
    check_eq!(stale.load(Ordering::SeqCst), 0);
    Ok(())
}

fn forks_see_one_moment_and_lose_no_writes() -> Outcome {
    const PAGES: usize = 8;
    let memory = Mapping::anonymous(PAGES * PAGE)?;
    let (address, is_over) = (memory.address(), AtomicBool::new(false));
    let word = |page: usize, writer: usize| (address + page * PAGE + writer * 64) as *const AtomicU64;
    let read = |page, writer| {
        // SAFETY: the mapping outlives all users, and all access to it is atomic.
        unsafe { &*word(page, writer) }.load(Ordering::SeqCst)
    };
    thread::scope(|scope| {
        let end = End(&is_over);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut rounds = 0_u64;
                    while !is_over.load(Ordering::SeqCst) {
                        rounds += 1;
                        for page in 0..PAGES {
                            // SAFETY: the mapping outlives the scope, and all access to it is atomic.
                            unsafe { &*word(page, writer) }.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    rounds
                })
            })
            .collect();
        let result = for_a_while(|_| {
            let code = child::fork(|| {
                for writer in 0..2 {
                    let first: Vec<u64> = (0..PAGES).map(|page| read(page, writer)).collect();
                    // Written in this order, so at no moment is a later page ahead of an earlier one, or far behind.
                    let is_one_moment =
                        first.windows(2).all(|two| two[0] >= two[1]) && first[0] - first[PAGES - 1] <= 1;
                    thread::yield_now();
                    if !is_one_moment || (0..PAGES).any(|page| read(page, writer) != first[page]) {
                        return 1;
                    }
                }
                0
            })?
            .exit_code()?;
            check_eq!(code, 0);
            Ok(())
        });
        drop(end);
        for (writer, handle) in writers.into_iter().enumerate() {
            let rounds = handle.join().unwrap_or_default();
            check!(rounds > 0 && (0..PAGES).all(|page| read(page, writer) == rounds), "a write was lost");
        }
        result
    })?;
    Ok(())
}

/// Whether this is QEMU's emulation with several CPUs. QEMU 7.2 checks whether a store hits code that it has translated, and translates,
/// without one lock around both: a CPU can translate what another is about to overwrite, and keeps that. Linux sees it as we do. It
/// makes programs crash that write code while they run, such as OpenJDK.
fn keeps_stale_translations() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    let is_emulated = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat() == *b"TCGTCGTCGTCG";
    is_emulated && thread::available_parallelism().is_ok_and(|count| count.get() > 1)
}

fn rewritten_code_runs_on_other_threads() -> Outcome {
    if keeps_stale_translations() {
        skip!("QEMU's emulated CPUs keep stale translations of each other's code");
    }
    const SLOTS: usize = 32;
    const SLOT: usize = PAGE / SLOTS;
    let all = READ_WRITE | ProtFlags::PROT_EXEC;
    let code = Mapping::new(PAGE, all, MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS)?;
    // `mov eax, NUMBER; ret`, the number aligned so that one store changes it.
    for slot in 0..SLOTS {
        code.set(slot * SLOT + 3, 0xb8);
        code.set(slot * SLOT + 8, 0xc3);
    }
    let address = code.address();
    let call = |slot: usize| {
        // Intel SDM vol. 3, 9.1.3: who runs code that another CPU has written serialises first.
        std::arch::x86_64::__cpuid(0);
        // SAFETY: the slot holds a function of this type, whichever number it returns at the moment.
        let function =
            unsafe { std::mem::transmute::<usize, extern "C" fn() -> u32>(address + slot * SLOT + 3) };
        function()
    };
    let published: [AtomicU32; SLOTS] = [const { AtomicU32::new(0) }; SLOTS];
    let (is_over, stale) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let end = End(&is_over);
        for first in 0..2 {
            let (is_over, stale, published) = (&is_over, &stale, &published);
            scope.spawn(move || {
                let mut slot = first;
                while !is_over.load(Ordering::SeqCst) {
                    slot = (slot + 1) % SLOTS;
                    let before = published[slot].load(Ordering::SeqCst);
                    if call(slot) < before {
                        stale.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let result = for_a_while(|round| {
            let slot = (round as usize).wrapping_mul(0x9e37_79b9) >> 3 & (SLOTS - 1);
            // SAFETY: the number in the slot is aligned, and is only written here.
            unsafe { &*((address + slot * SLOT + 4) as *const AtomicU32) }
                .store(round as u32, Ordering::SeqCst);
            published[slot].store(round as u32, Ordering::SeqCst);
            Ok(())
        });
        drop(end);
        result
    })?;
    check_eq!(stale.load(Ordering::SeqCst), 0);
    Ok(())
}

extern "C" fn clobber_vectors(_: libc::c_int) {
    // SAFETY: the case has checked for AVX; changes declared registers only.
    unsafe {
        asm!(
            "vpcmpeqd xmm0, xmm0, xmm0", "vinsertf128 ymm0, ymm0, xmm0, 1", "vmovaps ymm7, ymm0", "vmovaps ymm15, ymm0",
            out("ymm0") _, out("ymm7") _, out("ymm15") _,
        );
    }
}

/// Puts `value` into both halves of some vector registers, spins, optionally gives the CPU away, and tells what they hold then.
fn hold_vectors(value: u64, calls: u64) -> [u64; 4] {
    let mut out = [0_u64; 4];
    // SAFETY: the case has checked for AVX; sched_yield(2) changes rax, rcx and r11 only, and the array takes 32 bytes.
    unsafe {
        asm!(
            "vmovq xmm0, {value}",
            "vpunpcklqdq xmm0, xmm0, xmm0",
            "vinsertf128 ymm0, ymm0, xmm0, 1",
            "vmovaps ymm7, ymm0",
            "vmovaps ymm15, ymm0",
            "2:",
            "mov r8d, 2000",
            "3: dec r8d",
            "jnz 3b",
            "test {calls}, {calls}",
            "jz 4f",
            "mov eax, 24",
            "syscall",
            "dec {calls}",
            "jmp 2b",
            "4:",
            "vandps ymm0, ymm0, ymm7",
            "vandps ymm0, ymm0, ymm15",
            "vorps ymm7, ymm7, ymm15",
            "vxorps ymm7, ymm7, ymm0",
            // All three are the same if nothing is left here.
            "vorps ymm0, ymm0, ymm7",
            "vmovups [{out}], ymm0",
            value = in(reg) value,
            calls = inout(reg) calls => _,
            out = in(reg) out.as_mut_ptr(),
            out("rax") _, out("rcx") _, out("r11") _, out("r8") _, out("ymm0") _, out("ymm7") _, out("ymm15") _,
        );
    }
    out
}

fn vector_registers_survive_switches_and_signals() -> Outcome {
    if !std::arch::is_x86_feature_detected!("avx") {
        skip!("no AVX");
    }
    let handler = SigHandler::Handler(clobber_vectors);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler changes vector registers only, which sigreturn(2) brings back.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;
    let (is_over, lost) = (AtomicBool::new(false), AtomicU64::new(0));
    let (sender, receiver) = mpsc::channel();
    let rounds = thread::scope(|scope| {
        let end = End(&is_over);
        for id in 1..=4_u64 {
            let (is_over, lost, sender) = (&is_over, &lost, sender.clone());
            scope.spawn(move || {
                let is_told = sender.send(gettid()).is_ok();
                let mut round = 0;
                while is_told && !is_over.load(Ordering::SeqCst) {
                    round += 1;
                    let value = id << 56 | round;
                    if hold_vectors(value, round % 3) != [value; 4] {
                        lost.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let threads: Vec<_> = receiver.iter().take(4).collect();
        let rounds = for_a_while(|round| {
            for thread in &threads {
                // A thread that has ended is no failure.
                let _ = raw::harmless(
                    libc::SYS_tgkill,
                    [getpid().as_raw() as usize, thread.as_raw() as usize, libc::SIGUSR1 as usize],
                );
            }
            if round % 4 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
            Ok(())
        });
        drop(end);
        rounds
    })?;
    check!(rounds > 10, "only {rounds} rounds");
    check_eq!(lost.load(Ordering::SeqCst), 0);
    Ok(())
}
