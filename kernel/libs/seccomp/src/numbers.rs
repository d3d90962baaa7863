//! [`Numbers`]: a set of calls' numbers, and [`Program::always_allowed`]: those that a program lets pass whatever the arguments are.

use super::check::Refused;
use super::program::{Op, Program, Source, Test};
use super::verdict::Verdict;
use alloc::vec::Vec;

/// Larger numbers are in no set.
pub const NUMBERS: usize = 512;
const WORDS: usize = NUMBERS / 64;

/// A set of numbers below [`NUMBERS`], a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The lowest first.
    pub words: [u64; WORDS],
}

/// What is known of the accumulator before an instruction, for all ways there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// It is the call's number.
    Number,
    Constant(u32),
    Unknown,
}

/// The calls with which an instruction can be reached, and what it finds there.
#[derive(Clone, Copy, Debug)]
struct State {
    calls: Numbers,
    value: Value,
}

impl Program {
    /// The calls that it allows whatever their arguments are. A call that it seems to judge by what cannot be known beforehand is not among
    /// them. The program is walked once, with all numbers together: all jumps lead forwards.
    ///
    /// # Errors
    /// [`Refused::NoMemory`].
    pub fn always_allowed(&self, architecture: u32) -> Result<Numbers, Refused> {
        let mut states: Vec<Option<State>> = Vec::new();
        states.try_reserve_exact(self.ops.len()).map_err(|_| Refused::NoMemory)?;
        states.resize(self.ops.len(), None);
        if let Some(first) = states.first_mut() {
            // The accumulator begins with zero.
            *first = Some(State { calls: Numbers::ALL, value: Value::Constant(0) });
        }
        let mut stopped = Numbers::NONE;
        for (at, op) in self.ops.iter().enumerate() {
            let Some(State { calls, value }) = states[at] else { continue };
            let mut reach = |skip: usize, calls: Numbers, value: Value| {
                if let Some(there) = states.get_mut(at + 1 + skip) {
                    *there = State { calls, value }.joined(*there);
                }
            };
            match *op {
                Op::LoadWord(0) => reach(0, calls, Value::Number),
                Op::LoadWord(1) => reach(0, calls, Value::Constant(architecture)),
                Op::Load(constant) => reach(0, calls, Value::Constant(constant)),
                Op::LoadX(_) | Op::LoadXMemory(_) | Op::Store(_) | Op::StoreX(_) | Op::MoveToX => {
                    reach(0, calls, value);
                }
                Op::LoadWord(_) | Op::LoadMemory(_) | Op::MoveFromX | Op::Negate => {
                    reach(0, calls, Value::Unknown);
                }
                // By zero, it ends the program.
                Op::Alu(_, Source::X) => {
                    stopped = stopped.with(calls);
                    reach(0, calls, Value::Unknown);
                }
                Op::Alu(alu, Source::Constant(constant)) => {
                    let result = match value {
                        Value::Constant(value) => Value::Constant(alu.apply(value, constant)),
                        Value::Number | Value::Unknown => Value::Unknown,
                    };
                    reach(0, calls, result);
                }
                Op::Jump(skip) => reach(skip as usize, calls, value),
                Op::Branch(test, source, jump_true, jump_false) => {
                    let holds = match (value, source) {
                        (Value::Number, Source::Constant(constant)) => {
                            Some(Numbers::that_pass(test, constant))
                        }
                        (Value::Constant(value), Source::Constant(constant)) => {
                            Some(if test.holds(value, constant) { Numbers::ALL } else { Numbers::NONE })
                        }
                        _ => None,
                    };
                    let (if_true, if_false) =
                        holds.map_or((calls, calls), |holds| (calls.and(holds), calls.without(holds)));
                    reach(jump_true.into(), if_true, value);
                    reach(jump_false.into(), if_false, value);
                }
                Op::Return(result) => {
                    let result = result.map_or(value, Value::Constant);
                    let allows =
                        matches!(result, Value::Constant(result) if Verdict::of(result) == Verdict::Allow);
                    if !allows {
                        stopped = stopped.with(calls);
                    }
                }
            }
        }
        Ok(Numbers::ALL.without(stopped))
    }
}

impl State {
    fn joined(self, other: Option<Self>) -> Option<Self> {
        if self.calls == Numbers::NONE {
            return other;
        }
        let Some(other) = other else { return Some(self) };
        let value = if self.value == other.value { self.value } else { Value::Unknown };
        Some(Self { calls: self.calls.with(other.calls), value })
    }
}

impl Numbers {
    /// Every number.
    pub const ALL: Self = Self { words: [u64::MAX; WORDS] };
    /// None.
    pub const NONE: Self = Self { words: [0; WORDS] };

    /// Whether a number is in the set.
    pub fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.merged(other, |own, other| own & other)
    }

    fn with(self, other: Self) -> Self {
        self.merged(other, |own, other| own | other)
    }

    fn without(self, other: Self) -> Self {
        self.merged(other, |own, other| own & !other)
    }

    fn merged(mut self, other: Self, merge: impl Fn(u64, u64) -> u64) -> Self {
        for (own, other) in self.words.iter_mut().zip(other.words) {
            *own = merge(*own, other);
        }
        self
    }

    /// The numbers for which a test holds.
    fn that_pass(test: Test, constant: u32) -> Self {
        match test {
            Test::Equal => Self::at_least(constant.into()).without(Self::at_least(u64::from(constant) + 1)),
            Test::Greater => Self::at_least(u64::from(constant) + 1),
            Test::GreaterOrEqual => Self::at_least(constant.into()),
            Test::Set => Self::with_any_bit_of(constant),
        }
    }

    fn at_least(least: u64) -> Self {
        Self::by_word(|base| match least.saturating_sub(base) {
            shift @ 0..64 => u64::MAX << shift,
            _ => 0,
        })
    }

    fn with_any_bit_of(mask: u32) -> Self {
        /// The places within a word whose number has a bit, for each of its six.
        const PLACES: [u64; 6] = [
            0xaaaa_aaaa_aaaa_aaaa,
            0xcccc_cccc_cccc_cccc,
            0xf0f0_f0f0_f0f0_f0f0,
            0xff00_ff00_ff00_ff00,
            0xffff_0000_ffff_0000,
            0xffff_ffff_0000_0000,
        ];
        let low = PLACES.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 != 0);
        let low = low.fold(0, |places, (_, of_bit)| places | of_bit);
        Self::by_word(|base| if base & u64::from(mask) != 0 { u64::MAX } else { low })
    }

    fn by_word(word: impl Fn(u64) -> u64) -> Self {
        Self { words: core::array::from_fn(|index| word(index as u64 * 64)) }
    }
}
