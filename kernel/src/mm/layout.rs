//! Where things go in a new address space: stack on top, mappings downwards below it, the program and its heap at the bottom, each at a
//! random distance (as Linux on x86-64: 22 bits of pages for the stack, 28 for mappings).

use core::ops::Range;
use ostd::mm::{PAGE_SIZE, USER_END, Vaddr, page_down};

/// The lowest address that is given out without being asked for, and that only CAP_SYS_RAWIO may name (vm.mmap_min_addr).
pub const MIN_ADDRESS: Vaddr = 0x1_0000;

/// Free pages kept below a stack, so that an overflow faults before it meets another area (mmap(2), stack_guard_gap).
pub const STACK_GUARD: usize = 256 * PAGE_SIZE;

/// Room for the stack in any case, and the most that a large RLIMIT_STACK may take.
const STACK_ROOM: Range<usize> = 128 << 20..USER_END / 6 * 5;

/// The places of an address space.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// One past the highest byte of the initial stack.
    pub stack_top: Vaddr,
    /// Mappings are placed below it, top down.
    pub mmap_top: Vaddr,
    /// Where a position-independent program goes (ELF_ET_DYN_BASE), below all mappings.
    pub program: Vaddr,
    /// By how much the heap starts behind the program's end.
    pub heap_gap: usize,
}

impl Layout {
    /// A layout for a stack of at most `stack_limit` bytes; without `random` (personality(2), ADDR_NO_RANDOMIZE) the same each time.
    pub fn new(stack_limit: u64, random: Option<[u64; 4]>) -> Self {
        let pages = |bits: u32, value: u64| (value as usize & ((1 << bits) - 1)) * PAGE_SIZE;
        let [stack, mmap, program, heap] = random.unwrap_or_default();
        let room = usize::try_from(stack_limit).unwrap_or(usize::MAX).clamp(STACK_ROOM.start, STACK_ROOM.end);
        let (stack_random, room) = match random {
            // The stack's own room begins below its random offset.
            Some(_) => (pages(22, stack), room.saturating_add(pages(22, u64::MAX)).min(STACK_ROOM.end)),
            None => (0, room),
        };
        Self {
            stack_top: USER_END - stack_random,
            mmap_top: page_down(USER_END - room - STACK_GUARD) - pages(28, mmap),
            program: page_down(USER_END / 3 * 2) + pages(28, program),
            heap_gap: pages(13, heap),
        }
    }

    /// Four random words.
    pub fn random() -> [u64; 4] {
        let mut bytes = [0; 32];
        crate::random::fill(&mut bytes);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        words
    }
}
