//! [`Program`]: what was checked, and its execution.

use alloc::boxed::Box;

/// An instruction as user space writes it (`struct sock_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a test holds.
    pub jump_true: u8,
    /// How many if it does not.
    pub jump_false: u8,
    /// The constant.
    pub operand: u32,
}

/// What a program judges (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// The call's number.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// Bytes of the data.
pub(super) const DATA_LEN: usize = 64;
const DATA_WORDS: usize = DATA_LEN / 4;
/// Words of memory.
pub(super) const MEMORY_WORDS: usize = 16;

/// A program that was checked.
#[derive(Debug)]
pub struct Program {
    pub(super) ops: Box<[Op]>,
}

/// An instruction with its operands checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A word of the data into A.
    LoadWord(u8),
    /// A constant into A.
    Load(u32),
    LoadMemory(u8),
    LoadX(u32),
    LoadXMemory(u8),
    Store(u8),
    StoreX(u8),
    Alu(Alu, Source),
    Negate,
    Jump(u32),
    /// With how many instructions to skip if it holds, and if not.
    Branch(Test, Source, u8, u8),
    MoveToX,
    MoveFromX,
    /// A constant, or A.
    Return(Option<u32>),
}

/// The second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alu {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ExclusiveOr,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    Set,
}

impl Data {
    /// As words of 32 bits, the lower half of a longer value first.
    fn words(&self) -> [u32; DATA_WORDS] {
        let mut words = [0; DATA_WORDS];
        words[0] = self.number;
        words[1] = self.architecture;
        let longer = core::iter::once(self.instruction_pointer).chain(self.arguments);
        for (pair, value) in words[2..].chunks_exact_mut(2).zip(longer) {
            pair[0] = value as u32;
            pair[1] = (value >> 32) as u32;
        }
        words
    }
}

impl Program {
    /// How many instructions it has.
    #[expect(clippy::len_without_is_empty, reason = "a program is never empty")]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// What it says of a call.
    pub fn run(&self, data: &Data) -> u32 {
        let words = data.words();
        let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; MEMORY_WORDS]);
        let mut ops = self.ops.iter();
        while let Some(op) = ops.next() {
            let value = |source: Source| if let Source::Constant(value) = source { value } else { x };
            match *op {
                Op::LoadWord(index) => a = words.get(usize::from(index)).copied().unwrap_or(0),
                Op::Load(value) => a = value,
                Op::LoadMemory(cell) => a = memory[usize::from(cell) % MEMORY_WORDS],
                Op::LoadX(value) => x = value,
                Op::LoadXMemory(cell) => x = memory[usize::from(cell) % MEMORY_WORDS],
                Op::Store(cell) => memory[usize::from(cell) % MEMORY_WORDS] = a,
                Op::StoreX(cell) => memory[usize::from(cell) % MEMORY_WORDS] = x,
                // Dividing by zero ends the program with 0, as it does for packets.
                Op::Alu(Alu::Divide, source) => match a.checked_div(value(source)) {
                    Some(quotient) => a = quotient,
                    None => return 0,
                },
                Op::Alu(alu, source) => a = alu.apply(a, value(source)),
                Op::Negate => a = a.wrapping_neg(),
                Op::Jump(skip) => skip_ops(&mut ops, skip as usize),
                Op::Branch(test, source, jump_true, jump_false) => {
                    let skip = if test.holds(a, value(source)) { jump_true } else { jump_false };
                    skip_ops(&mut ops, skip.into());
                }
                Op::MoveToX => x = a,
                Op::MoveFromX => a = x,
                Op::Return(value) => return value.unwrap_or(a),
            }
        }
        // Not reached: the last instruction returns. If it were, nothing would be allowed.
        0
    }
}

#[inline]
fn skip_ops(ops: &mut core::slice::Iter<'_, Op>, count: usize) {
    *ops = ops.as_slice().get(count..).unwrap_or_default().iter();
}

impl Alu {
    #[inline]
    pub(super) fn apply(self, a: u32, b: u32) -> u32 {
        match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide => a.checked_div(b).unwrap_or(0),
            Self::Or => a | b,
            Self::And => a & b,
            Self::ExclusiveOr => a ^ b,
            // By X: only its lowest five bits count, as for x86.
            Self::ShiftLeft => a.wrapping_shl(b),
            Self::ShiftRight => a.wrapping_shr(b),
        }
    }
}

impl Test {
    #[inline]
    pub(super) fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Set => a & b != 0,
        }
    }
}
