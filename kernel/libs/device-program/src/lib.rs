//! Programs that say which devices a control group may use: eBPF (RFC 9669) of type BPF_PROG_TYPE_CGROUP_DEVICE, which is what container
//! runtimes write in the place of version 1's `devices.allow`.
//!
//! [`Program::load`] takes instructions apart and refuses all that is not straight: only jumps forwards, so that every run ends; no calls, no
//! memory but the question. What is left to find out when it runs ([`Program::run`]) – a register that was never set, an address used
//! as a number – denies. Linux's verifier refuses such programs when they are loaded; the compilers of container runtimes write none.
//! The crates for eBPF (rbpf, aya) run general programs with helpers, or compile them; none is a tenth of this size.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod instruction;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use instruction::{Instruction, Operand, Operation};

/// The most instructions (BPF_MAXINSNS).
pub const LEN_MAX: usize = 4096;
/// Bytes of one.
pub const INSTRUCTION_LEN: usize = 8;

/// What is asked of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Block rather than character device.
    pub is_block: bool,
    /// BPF_DEVCG_ACC_*: 1 make, 2 read, 4 write.
    pub access: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Question {
    /// `struct bpf_cgroup_dev_ctx`.
    fn to_words(self) -> [u32; 3] {
        let kind = if self.is_block { 1 } else { 2 };
        [self.access << 16 | kind, self.major, self.minor]
    }
}

/// A program that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Nothing yet.
    Unset,
    /// The address of the question.
    Question,
    Number(u64),
}

impl Program {
    /// Reads instructions.
    ///
    /// # Errors
    /// For an empty or overlong program, one that ends other than by an exit, jumps back or out, or has an instruction that it may not use; and if
    /// memory is short.
    pub fn load(bytes: &[u8]) -> Result<Self, Refused> {
        let (words, rest) = bytes.as_chunks::<INSTRUCTION_LEN>();
        if words.is_empty() || words.len() > LEN_MAX || !rest.is_empty() {
            return Err(Refused);
        }
        let mut instructions = Vec::new();
        instructions.try_reserve_exact(words.len()).map_err(|_| Refused)?;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let instruction = Instruction::decode(*word).ok_or(Refused)?;
            instructions.push(instruction);
            if let Instruction::LoadWide { .. } = instruction {
                // The upper half of the number is in the next one, which nothing may jump to.
                let upper = Instruction::upper_half(*words.next().ok_or(Refused)?).ok_or(Refused)?;
                instructions.push(Instruction::UpperHalf(upper));
            }
        }
        let program = Self { instructions };
        if program.is_straight() { Ok(program) } else { Err(Refused) }
    }

    /// Whether every way through it goes forwards, and ends at an exit.
    fn is_straight(&self) -> bool {
        let lands = |at: usize| {
            self.instructions.get(at).is_some_and(|found| !matches!(found, Instruction::UpperHalf(_)))
        };
        self.instructions.iter().enumerate().all(|(at, instruction)| match instruction {
            Instruction::Exit => true,
            Instruction::Jump { condition, offset } => {
                let goes_on = condition.is_none() || lands(at + 1);
                goes_on && lands(at + 1 + usize::from(*offset))
            }
            Instruction::LoadWide { .. } => lands(at + 2),
            Instruction::UpperHalf(_) => true,
            _ => lands(at + 1),
        })
    }

    /// How many instructions it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether it has none, which no program does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Whether it allows what is asked: the lowest bit of what it returns.
    #[must_use]
    pub fn run(&self, question: Question) -> bool {
        let words = question.to_words();
        let mut registers = [Value::Unset; 11];
        registers[1] = Value::Question;
        self.follow(&words, &mut registers).is_some_and(|value| value & 1 == 1)
    }

    fn follow(&self, words: &[u32; 3], registers: &mut [Value; 11]) -> Option<u64> {
        let mut at = 0;
        loop {
            let instruction = self.instructions.get(at)?;
            at += 1;
            match *instruction {
                Instruction::Exit => return number(registers[0]),
                Instruction::Compute { operation, is_wide, target, operand } => {
                    let slot = usize::from(target);
                    let other = operand_value(operand, registers);
                    registers[slot] = match (operation, other) {
                        (Operation::Move, other) if is_wide => other,
                        (Operation::Move, other) => Value::Number(u64::from(number(other)? as u32)),
                        (operation, other) => {
                            Value::Number(operation.apply(number(registers[slot])?, number(other)?, is_wide))
                        }
                    };
                }
                Instruction::Load { target, source, offset, size } => {
                    if registers[usize::from(source)] != Value::Question {
                        return None;
                    }
                    registers[usize::from(target)] = Value::Number(field(words, offset, size)?);
                }
                Instruction::LoadWide { target, lower } => {
                    let Some(Instruction::UpperHalf(upper)) = self.instructions.get(at) else { return None };
                    registers[usize::from(target)] =
                        Value::Number(u64::from(lower) | u64::from(*upper) << 32);
                    at += 1;
                }
                Instruction::UpperHalf(_) => return None,
                Instruction::Jump { condition: None, offset } => at += usize::from(offset),
                Instruction::Jump { condition: Some(condition), offset } => {
                    let left = number(registers[usize::from(condition.left)])?;
                    let right = number(operand_value(condition.right, registers))?;
                    if condition.holds(left, right) {
                        at += usize::from(offset);
                    }
                }
            }
        }
    }
}

fn operand_value(operand: Operand, registers: &[Value; 11]) -> Value {
    match operand {
        // Numbers in instructions are signed 32 bits.
        Operand::Number(value) => Value::Number(i64::from(value).cast_unsigned()),
        Operand::Register(register) => registers[usize::from(register)],
    }
}

fn number(value: Value) -> Option<u64> {
    match value {
        Value::Number(value) => Some(value),
        Value::Unset | Value::Question => None,
    }
}

/// `size` bytes of the question, at an offset that is a multiple of that.
fn field(words: &[u32; 3], offset: u16, size: u8) -> Option<u64> {
    let (offset, size) = (usize::from(offset), usize::from(size));
    let word = *words.get(offset / 4)?;
    let is_aligned = offset.is_multiple_of(size);
    is_aligned.then(|| u64::from(word.to_le() >> (offset % 4 * 8)) & (u64::MAX >> (64 - size * 8)))
}
