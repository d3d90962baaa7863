//! Extended state (x87, SSE, AVX, AVX-512): XSAVE in the standard format (Intel SDM vol. 1, chapter 13).
//!
//! The kernel is built without vector registers, so they hold a task's state from the moment it enters ring 3 until another task does so
//! on the same CPU. They are saved when a task that entered ring 3 leaves its CPU, and loaded on the way into ring 3 unless they are
//! still there.

use crate::cpu::local;
use crate::task::Task;
use crate::{Error, Result, irq};
use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// x87, SSE, AVX and the three parts of AVX-512.
const WANTED: u64 = 0b1110_0111;
const LEGACY_LEN: usize = 512;
const HEADER_LEN: usize = 64;
/// Where XSTATE_BV, XCOMP_BV and the reserved rest of the header are.
const XSTATE_BV: usize = LEGACY_LEN;
const FCW: usize = 0;
const MXCSR: usize = 24;
const FCW_INITIAL: u16 = 0x37f;
const MXCSR_INITIAL: u32 = 0x1f80;
/// MXCSR bits that every CPU with XSAVE has (DAZ included).
const MXCSR_MASK: u32 = 0xffff;

const CR0_MP: u64 = 1 << 1;
const CR0_EM: u64 = 1 << 2;
const CR0_TS: u64 = 1 << 3;
const CR0_NE: u64 = 1 << 5;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_OSXSAVE: u64 = 1 << 18;

static FEATURES: AtomicU64 = AtomicU64::new(0);
static LEN: AtomicUsize = AtomicUsize::new(0);

/// XCR0.
pub(crate) fn features() -> u64 {
    FEATURES.load(Ordering::Relaxed)
}

/// Length of an area in bytes.
pub(crate) fn len() -> usize {
    LEN.load(Ordering::Relaxed)
}

/// Turns on XSAVE and user access to segment bases.
pub(super) fn init_cpu() {
    let has_xsave = __cpuid(1).ecx & (1 << 26) != 0;
    let has_fsgsbase = __cpuid_count(7, 0).ebx & 1 != 0;
    assert!(has_xsave && has_fsgsbase, "this CPU lacks XSAVE or FSGSBASE; any x86-64-v3 CPU has both");
    let supported = __cpuid_count(0xd, 0);
    let features = (u64::from(supported.edx) << 32 | u64::from(supported.eax)) & WANTED;
    // SAFETY: turns off emulation and lazy switching, which the kernel does not use.
    unsafe {
        asm!("mov {0}, cr0", "and {0}, {1}", "or {0}, {2}", "mov cr0, {0}", out(reg) _,
             in(reg) !(CR0_EM | CR0_TS), in(reg) CR0_MP | CR0_NE, options(nostack));
    }
    // SAFETY: turns on what CPUID says is there.
    unsafe {
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _,
             in(reg) CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE, options(nostack));
    }
    // SAFETY: CPUID 0xD lists these components as supported.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") features as u32, in("edx") (features >> 32) as u32, options(nostack));
    };
    // With XCR0 set, EBX is the length for what is enabled.
    let len = __cpuid_count(0xd, 0).ebx as usize;
    assert!(
        (LEGACY_LEN + HEADER_LEN..=16384).contains(&len),
        "CPUID says that an XSAVE area has {len} bytes"
    );
    if LEN.load(Ordering::Relaxed) == 0 {
        FEATURES.store(features, Ordering::Relaxed);
        LEN.store(len, Ordering::Relaxed);
    }
    assert!(
        LEN.load(Ordering::Relaxed) == len && self::features() == features,
        "CPUs differ in their extended state"
    );
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A task's extended state.
pub(crate) struct ExtendedState {
    area: Vec<Line>,
    /// Whether the registers may be newer than the area: the task has been in ring 3 since the last save.
    is_dirty: bool,
    /// The CPU whose registers got the area last.
    loaded_on: Option<u32>,
}

impl ExtendedState {
    /// A copy of the current task's state; the initial state if there is none.
    pub(crate) fn inherit() -> Self {
        let mut new = Self::initial();
        if let Some(current) = Task::current() {
            let _off = irq::disable_local();
            // SAFETY: interrupts are off and `current` is current.
            let state = unsafe { &mut *current.extended_state() };
            if state.is_dirty || state.loaded_on.is_some() {
                state.save(&current);
                new.area.copy_from_slice(&state.area);
            }
        }
        new
    }

    fn initial() -> Self {
        let mut state =
            Self { area: alloc::vec![Line([0; 64]); len().div_ceil(64)], is_dirty: false, loaded_on: None };
        state.reset();
        state
    }

    fn reset(&mut self) {
        self.area.fill(Line([0; 64]));
        // XSTATE_BV of zero makes XRSTOR put everything into its initial state; MXCSR alone is always taken from the area.
        self.area[0].0[FCW..FCW + 2].copy_from_slice(&FCW_INITIAL.to_le_bytes());
        self.area[0].0[MXCSR..MXCSR + 4].copy_from_slice(&MXCSR_INITIAL.to_le_bytes());
        self.is_dirty = false;
        self.loaded_on = None;
    }

    /// Saves the registers if they hold `task`'s state and may have changed.
    ///
    /// # Safety
    /// Interrupts are off, `task` is current, `state` is its own.
    pub(crate) unsafe fn save_live(task: &Task, state: *mut Self) {
        // SAFETY: by contract nobody else refers to it.
        unsafe { &mut *state }.save(task);
    }

    fn save(&mut self, task: &Task) {
        if !self.is_dirty {
            return;
        }
        debug_assert!(core::ptr::eq(task, local::fpu_owner() as *const Task));
        let features = features();
        // SAFETY: the area is 64-byte aligned and as long as CPUID says for what XCR0 enables.
        unsafe {
            asm!("xsave64 [{}]", in(reg) self.area.as_mut_ptr(), in("eax") features as u32,
                 in("edx") (features >> 32) as u32, options(nostack, preserves_flags));
        }
        self.is_dirty = false;
    }

    /// On the way into ring 3: brings `task`'s state into the registers, unless it is there.
    ///
    /// # Safety
    /// Interrupts are off, `task` is current.
    pub(crate) unsafe fn load(task: &Task) {
        // SAFETY: by contract nobody else refers to it.
        let state = unsafe { &mut *task.extended_state() };
        if state.is_dirty {
            return;
        }
        let cpu = local::id().as_usize() as u32;
        let identity = core::ptr::from_ref(task) as usize;
        if local::fpu_owner() != identity || state.loaded_on != Some(cpu) {
            let features = features();
            // SAFETY: the area came from XSAVE, from `reset`, or passed `check`; it is aligned and long enough.
            unsafe {
                asm!("xrstor64 [{}]", in(reg) state.area.as_ptr(), in("eax") features as u32,
                     in("edx") (features >> 32) as u32, options(nostack, preserves_flags));
            }
            local::set_fpu_owner(identity);
            state.loaded_on = Some(cpu);
        }
        state.is_dirty = true;
    }

    /// The task ends: nothing needs saving, and no later task at the same address may take its registers for its own.
    pub(crate) fn forget(task: &Task) {
        let _off = irq::disable_local();
        // SAFETY: interrupts are off and the task is current.
        let state = unsafe { &mut *task.extended_state() };
        state.is_dirty = false;
        state.loaded_on = None;
        local::set_fpu_owner(0);
    }
}

/// See [`crate::user::save_extended_state`].
pub(crate) fn copy_out(out: &mut [u8]) {
    assert_eq!(out.len(), len(), "an XSAVE area has the length that xsave_len gives");
    let current = Task::current().expect("extended state belongs to tasks");
    let _off = irq::disable_local();
    // SAFETY: interrupts are off and the task is current.
    let state = unsafe { &mut *current.extended_state() };
    state.save(&current);
    for (out, line) in out.chunks_mut(64).zip(&state.area) {
        out.copy_from_slice(&line.0[..out.len()]);
    }
}

/// See [`crate::user::load_extended_state`].
pub(crate) fn copy_in(area: &[u8]) -> Result<()> {
    check(area)?;
    let current = Task::current().expect("extended state belongs to tasks");
    let _off = irq::disable_local();
    // SAFETY: interrupts are off and the task is current.
    let state = unsafe { &mut *current.extended_state() };
    for (line, bytes) in state.area.iter_mut().zip(area.chunks(64)) {
        line.0[..bytes.len()].copy_from_slice(bytes);
    }
    state.is_dirty = false;
    state.loaded_on = None;
    Ok(())
}

/// See [`crate::user::reset_extended_state`].
pub(crate) fn reset() {
    let current = Task::current().expect("extended state belongs to tasks");
    let _off = irq::disable_local();
    // SAFETY: interrupts are off and the task is current.
    unsafe { &mut *current.extended_state() }.reset();
}

/// What XRSTOR demands of an area in the standard format (SDM vol. 1, 13.8.1).
fn check(area: &[u8]) -> Result<()> {
    let header = area.get(XSTATE_BV..XSTATE_BV + HEADER_LEN).ok_or(Error::InvalidArgument)?;
    let (components, rest) = header.split_first_chunk::<8>().ok_or(Error::InvalidArgument)?;
    let mxcsr = area[MXCSR..].first_chunk::<4>().ok_or(Error::InvalidArgument)?;
    let is_fine = area.len() == len()
        && u64::from_le_bytes(*components) & !features() == 0
        && rest.iter().all(|byte| *byte == 0)
        && u32::from_le_bytes(*mxcsr) & !MXCSR_MASK == 0;
    if is_fine { Ok(()) } else { Err(Error::InvalidArgument) }
}
