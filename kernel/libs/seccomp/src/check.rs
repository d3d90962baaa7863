//! From instructions to a [`Program`]: which there are, what their operands may be, and that every way through ends.
//!
//! The rules are those that Linux documents (Documentation/networking/filter.rst, seccomp(2)), so that a program is taken here if and only if it
//! is taken there.

use super::INSTRUCTIONS_MAX;
use super::program::{Alu, DATA_LEN, Instruction, MEMORY_WORDS, Op, Program, Source, Test};
use alloc::vec::Vec;

/// Why a program is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// None, too many, or one that there is not, or whose operands are out of bounds.
    Invalid,
    /// There is no memory for it.
    NoMemory,
}

// Classes, in the lowest three bits of a code.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
// Modes of loads, all of words.
const IMM: u16 = 0;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
/// The operand is X, not the constant.
const X: u16 = 8;

impl Program {
    /// Checks what user space handed over.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(instructions: &[Instruction]) -> Result<Self, Refused> {
        if instructions.is_empty() || instructions.len() > INSTRUCTIONS_MAX {
            return Err(Refused::Invalid);
        }
        let mut ops = Vec::new();
        ops.try_reserve_exact(instructions.len()).map_err(|_| Refused::NoMemory)?;
        for (at, instruction) in instructions.iter().enumerate() {
            let following = instructions.len() - at - 1;
            ops.push(decode(instruction, following).ok_or(Refused::Invalid)?);
        }
        if !matches!(ops.last(), Some(Op::Return(_))) {
            return Err(Refused::Invalid);
        }
        check_memory(&ops)?;
        Ok(Self { ops: ops.into_boxed_slice() })
    }
}

/// `following`: how many instructions come after it; jumps only lead there.
fn decode(instruction: &Instruction, following: usize) -> Option<Op> {
    let Instruction { code, jump_true, jump_false, operand } = *instruction;
    let is_inside = |skip: u32| (skip as usize) < following;
    let cell = || u8::try_from(operand).ok().filter(|cell| usize::from(*cell) < MEMORY_WORDS);
    let source = if code & X != 0 { Source::X } else { Source::Constant(operand) };
    let op = match code & 7 {
        LD if code == LD | ABS => {
            let is_word = operand.is_multiple_of(4) && (operand as usize) < DATA_LEN;
            Op::LoadWord(u8::try_from(operand / 4).ok().filter(|_| is_word)?)
        }
        LD if code == LD | IMM => Op::Load(operand),
        LD if code == LD | LEN => Op::Load(DATA_LEN as u32),
        LD if code == LD | MEM => Op::LoadMemory(cell()?),
        LDX if code == LDX | IMM => Op::LoadX(operand),
        LDX if code == LDX | LEN => Op::LoadX(DATA_LEN as u32),
        LDX if code == LDX | MEM => Op::LoadXMemory(cell()?),
        ST if code == ST => Op::Store(cell()?),
        STX if code == STX => Op::StoreX(cell()?),
        ALU if code == ALU | 0x80 => Op::Negate,
        ALU => {
            let alu = match code & !(7 | X) {
                0x00 => Alu::Add,
                0x10 => Alu::Subtract,
                0x20 => Alu::Multiply,
                0x30 if operand == 0 && source != Source::X => return None,
                0x30 => Alu::Divide,
                0x40 => Alu::Or,
                0x50 => Alu::And,
                0x60 | 0x70 if operand >= 32 && source != Source::X => return None,
                0x60 => Alu::ShiftLeft,
                0x70 => Alu::ShiftRight,
                0xa0 => Alu::ExclusiveOr,
                _ => return None,
            };
            Op::Alu(alu, source)
        }
        JMP if code == JMP => Op::Jump(Some(operand).filter(|skip| is_inside(*skip))?),
        JMP => {
            let test = match code & !(7 | X) {
                0x10 => Test::Equal,
                0x20 => Test::Greater,
                0x30 => Test::GreaterOrEqual,
                0x40 => Test::Set,
                _ => return None,
            };
            if !is_inside(jump_true.into()) || !is_inside(jump_false.into()) {
                return None;
            }
            Op::Branch(test, source, jump_true, jump_false)
        }
        RET if code == RET => Op::Return(Some(operand)),
        RET if code == RET | 0x10 => Op::Return(None),
        MISC if code == MISC => Op::MoveToX,
        MISC if code == MISC | 0x80 => Op::MoveFromX,
        _ => return None,
    };
    Some(op)
}

/// Every cell that is read was written on all ways there: one pass is enough, for all jumps lead forwards.
fn check_memory(ops: &[Op]) -> Result<(), Refused> {
    const ALL: u16 = u16::MAX;
    let mut known_at = Vec::new();
    known_at.try_reserve_exact(ops.len()).map_err(|_| Refused::NoMemory)?;
    known_at.resize(ops.len(), ALL);
    // What is written by now.
    let mut known = 0;
    for (at, op) in ops.iter().enumerate() {
        known &= known_at[at];
        let mut meet = |skip: usize| {
            if let Some(there) = known_at.get_mut(at + 1 + skip) {
                *there &= known;
            }
        };
        match *op {
            Op::Store(cell) | Op::StoreX(cell) => known |= 1 << cell,
            Op::LoadMemory(cell) | Op::LoadXMemory(cell) if known & 1 << cell == 0 => {
                return Err(Refused::Invalid);
            }
            Op::Jump(skip) => {
                meet(skip as usize);
                known = ALL;
            }
            Op::Branch(_, _, jump_true, jump_false) => {
                meet(jump_true.into());
                meet(jump_false.into());
                known = ALL;
            }
            _ => {}
        }
    }
    Ok(())
}
