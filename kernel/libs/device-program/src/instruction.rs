//! One instruction: RFC 9669, sections 3 to 5.

/// What a program is made of, in slots of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    Compute {
        operation: Operation,
        is_wide: bool,
        target: u8,
        operand: Operand,
    },
    Load {
        target: u8,
        source: u8,
        offset: u16,
        size: u8,
    },
    LoadWide {
        target: u8,
        lower: u32,
    },
    /// The second slot of [`Self::LoadWide`].
    UpperHalf(u32),
    Jump {
        condition: Option<Condition>,
        offset: u16,
    },
    Exit,
}

/// The other side of a computation or comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    Number(i32),
    Register(u8),
}

/// Arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Negate,
    Remainder,
    ExclusiveOr,
    Move,
    ShiftRightSigned,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    pub comparison: Comparison,
    pub is_wide: bool,
    pub left: u8,
    pub right: Operand,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Shares,
    NotEqual,
    SignedGreater,
    SignedGreaterOrEqual,
    Less,
    LessOrEqual,
    SignedLess,
    SignedLessOrEqual,
}

/// The last register that instructions may name; r10 is the frame of a stack that these programs do not have.
const REGISTER_MAX: u8 = 9;

/// Classes: the lowest three bits.
const LOAD: u8 = 0x00;
const LOAD_FROM_REGISTER: u8 = 0x01;
const COMPUTE: u8 = 0x04;
const JUMP: u8 = 0x05;
const JUMP_NARROW: u8 = 0x06;
const COMPUTE_WIDE: u8 = 0x07;
/// The operand is a register.
const BY_REGISTER: u8 = 0x08;

impl Instruction {
    /// `None` for what programs may not use.
    pub fn decode(bytes: [u8; 8]) -> Option<Self> {
        let [code, registers, low, high, number @ ..] = bytes;
        let (target, source) = (registers & 0xf, registers >> 4);
        let offset = i16::from_le_bytes([low, high]);
        let number = i32::from_le_bytes(number);
        if target > REGISTER_MAX || source > REGISTER_MAX {
            return None;
        }
        let operand =
            if code & BY_REGISTER != 0 { Operand::Register(source) } else { Operand::Number(number) };
        match code & 7 {
            class @ (COMPUTE | COMPUTE_WIDE) => {
                let operation = Operation::decode(code >> 4)?;
                // A sign-extending move has an offset.
                let compute = Self::Compute { operation, is_wide: class == COMPUTE_WIDE, target, operand };
                (offset == 0).then_some(compute)
            }
            class @ (JUMP | JUMP_NARROW) => Self::jump(code, class == JUMP, target, operand, offset),
            LOAD_FROM_REGISTER => {
                let size = match code {
                    0x61 => 4,
                    0x69 => 2,
                    0x71 => 1,
                    _ => return None,
                };
                Some(Self::Load { target, source, offset: u16::try_from(offset).ok()?, size })
            }
            LOAD => {
                let is_number = code == 0x18 && source == 0 && offset == 0;
                is_number.then_some(Self::LoadWide { target, lower: number.cast_unsigned() })
            }
            _ => None,
        }
    }

    fn jump(code: u8, is_wide: bool, left: u8, right: Operand, offset: i16) -> Option<Self> {
        /// Exit.
        const EXIT: u8 = 0x95;
        /// Jump always.
        const ALWAYS: u8 = 0x05;
        if code == EXIT {
            return Some(Self::Exit);
        }
        // Backwards is where loops are.
        let offset = u16::try_from(offset).ok()?;
        if code == ALWAYS {
            return Some(Self::Jump { condition: None, offset });
        }
        let comparison = Comparison::decode(code >> 4)?;
        Some(Self::Jump { condition: Some(Condition { comparison, is_wide, left, right }), offset })
    }

    /// The number in the second slot of a wide load.
    pub fn upper_half(bytes: [u8; 8]) -> Option<u32> {
        let [0, 0, 0, 0, number @ ..] = bytes else { return None };
        Some(u32::from_le_bytes(number))
    }
}

impl Operation {
    fn decode(code: u8) -> Option<Self> {
        Some(match code {
            0x0 => Self::Add,
            0x1 => Self::Subtract,
            0x2 => Self::Multiply,
            0x3 => Self::Divide,
            0x4 => Self::Or,
            0x5 => Self::And,
            0x6 => Self::ShiftLeft,
            0x7 => Self::ShiftRight,
            0x8 => Self::Negate,
            0x9 => Self::Remainder,
            0xa => Self::ExclusiveOr,
            0xb => Self::Move,
            0xc => Self::ShiftRightSigned,
            _ => return None,
        })
    }

    /// Division by zero gives zero, a remainder by it the dividend; shifts count modulo the width (section 4.1).
    pub fn apply(self, left: u64, right: u64, is_wide: bool) -> u64 {
        if is_wide { self.wide(left, right) } else { u64::from(self.narrow(left as u32, right as u32)) }
    }

    fn wide(self, left: u64, right: u64) -> u64 {
        let shift = (right & 63) as u32;
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide => left.checked_div(right).unwrap_or(0),
            Self::Or => left | right,
            Self::And => left & right,
            Self::ShiftLeft => left << shift,
            Self::ShiftRight => left >> shift,
            Self::Negate => left.wrapping_neg(),
            Self::Remainder => left.checked_rem(right).unwrap_or(left),
            Self::ExclusiveOr => left ^ right,
            Self::Move => right,
            Self::ShiftRightSigned => (left.cast_signed() >> shift).cast_unsigned(),
        }
    }

    fn narrow(self, left: u32, right: u32) -> u32 {
        let shift = right & 31;
        match self {
            Self::ShiftLeft => left << shift,
            Self::ShiftRight => left >> shift,
            Self::ShiftRightSigned => (left.cast_signed() >> shift).cast_unsigned(),
            // Of the others, the lower half depends on the lower halves only; division does so for numbers without upper ones.
            other => other.wide(u64::from(left), u64::from(right)) as u32,
        }
    }
}

impl Comparison {
    fn decode(code: u8) -> Option<Self> {
        Some(match code {
            0x1 => Self::Equal,
            0x2 => Self::Greater,
            0x3 => Self::GreaterOrEqual,
            0x4 => Self::Shares,
            0x5 => Self::NotEqual,
            0x6 => Self::SignedGreater,
            0x7 => Self::SignedGreaterOrEqual,
            0xa => Self::Less,
            0xb => Self::LessOrEqual,
            0xc => Self::SignedLess,
            0xd => Self::SignedLessOrEqual,
            _ => return None,
        })
    }
}

impl Condition {
    /// Whether it holds between two numbers.
    pub fn holds(&self, left: u64, right: u64) -> bool {
        let (left, right) = if self.is_wide {
            (left, right)
        } else {
            // Sign-extended, both kinds of order are those of the lower halves.
            let extend = |value: u64| i64::from((value as u32).cast_signed()).cast_unsigned();
            (extend(left), extend(right))
        };
        let (signed_left, signed_right) = (left.cast_signed(), right.cast_signed());
        match self.comparison {
            Comparison::Equal => left == right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Shares => left & right != 0,
            Comparison::NotEqual => left != right,
            Comparison::SignedGreater => signed_left > signed_right,
            Comparison::SignedGreaterOrEqual => signed_left >= signed_right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::SignedLess => signed_left < signed_right,
            Comparison::SignedLessOrEqual => signed_left <= signed_right,
        }
    }
}
