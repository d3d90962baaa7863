extern crate std;

use super::{Data, INSTRUCTIONS_MAX, Instruction, NUMBERS, Program, Refused, Verdict, precedence};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const ARCH: u32 = 0xc000_003e;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

const LD_ABS: u16 = 0x20;
const LD_MEM: u16 = 0x60;
const ST: u16 = 2;
const RET_K: u16 = 6;
const RET_A: u16 = 0x16;
const JA: u16 = 5;
const JEQ_K: u16 = 0x15;

fn op(code: u16, operand: u32) -> Instruction {
    Instruction { code, operand, ..Instruction::default() }
}

fn branch(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

fn data(number: u32, first: u64) -> Data {
    Data { number, architecture: ARCH, instruction_pointer: 0x1234, arguments: [first, 0, 0, 0, 0, 6 << 32] }
}

fn result(instructions: &[Instruction]) -> u32 {
    Program::check(instructions).unwrap().run(&data(39, 0x5_0000_0007))
}

#[test]
fn the_data_is_laid_out_as_documented() {
    let words: Vec<u32> = (0..16).map(|word| result(&[op(LD_ABS, word * 4), op(RET_A, 0)])).collect();
    let mut expected = vec![39, ARCH, 0x1234, 0, 7, 5];
    expected.resize(15, 0);
    expected.push(6);
    assert_eq!(words, expected);
}

#[test]
fn arithmetic_is_of_32_bits() {
    let calculate = |code: u16, a: u32, b: u32| {
        let by_constant = [op(0, a), op(code, b), op(RET_A, 0)];
        let by_x = [op(0, a), op(1, b), op(code | 8, 0), op(RET_A, 0)];
        let value = result(&by_constant);
        assert_eq!(value, result(&by_x));
        value
    };
    assert_eq!(calculate(0x04, u32::MAX, 2), 1);
    assert_eq!(calculate(0x14, 1, 2), u32::MAX);
    assert_eq!(calculate(0x24, 1 << 31, 2), 0);
    assert_eq!(calculate(0x34, 7, 2), 3);
    assert_eq!(calculate(0x44, 5, 2), 7);
    assert_eq!(calculate(0x54, 7, 2), 2);
    assert_eq!(calculate(0x64, 1, 31), 1 << 31);
    assert_eq!(calculate(0x74, 1 << 31, 31), 1);
    assert_eq!(calculate(0xa4, 7, 2), 5);
    assert_eq!(result(&[op(0, 1), op(0x84, 0), op(RET_A, 0)]), u32::MAX);
    // By X, what a constant may not be.
    assert_eq!(result(&[op(0, 9), op(1, 0), op(0x3c, 0), op(RET_K, 5)]), 0);
    assert_eq!(result(&[op(0, 1), op(1, 33), op(0x6c, 0), op(RET_A, 0)]), 2);
}

#[test]
fn moves_memory_and_lengths() {
    assert_eq!(result(&[op(0x80, 0), op(RET_A, 0)]), 64);
    assert_eq!(result(&[op(0x81, 0), op(0x87, 0), op(RET_A, 0)]), 64);
    assert_eq!(result(&[op(0, 3), op(7, 0), op(0, 0), op(3, 15), op(LD_MEM, 15), op(RET_A, 0)]), 3);
    assert_eq!(result(&[op(0, 3), op(ST, 0), op(0x61, 0), op(0, 0), op(0x87, 0), op(RET_A, 0)]), 3);
}

#[test]
fn jumps_go_where_they_say() {
    assert_eq!(result(&[op(JA, 1), op(RET_K, 1), op(RET_K, 2)]), 2);
    let test =
        |code: u16, a: u32, b: u32| result(&[op(0, a), branch(code, b, 1, 0), op(RET_K, 0), op(RET_K, 1)]);
    assert_eq!((test(0x15, 5, 5), test(0x15, 5, 6)), (1, 0));
    assert_eq!((test(0x25, 6, 5), test(0x25, 5, 5)), (1, 0));
    assert_eq!((test(0x35, 5, 5), test(0x35, 4, 5)), (1, 0));
    assert_eq!((test(0x45, 6, 4), test(0x45, 6, 1)), (1, 0));
}

#[test]
fn bad_programs_are_refused() {
    let refused = |instructions: &[Instruction]| {
        assert_eq!(Program::check(instructions).unwrap_err(), Refused::Invalid, "{instructions:?}");
    };
    refused(&[]);
    refused(&vec![op(RET_K, 0); INSTRUCTIONS_MAX + 1]);
    // Ends without returning; jumps out, by one or by wrapping.
    refused(&[op(0, 0)]);
    refused(&[op(JA, 1), op(RET_K, 0)]);
    refused(&[op(JA, u32::MAX), op(RET_K, 0)]);
    refused(&[branch(JEQ_K, 0, 1, 0), op(RET_K, 0)]);
    refused(&[branch(JEQ_K, 0, 0, 255), op(RET_K, 0)]);
    // Loads: outside, not aligned, of bytes, of packets.
    for offset in [64, 1, 2, u32::MAX - 3] {
        refused(&[op(LD_ABS, offset), op(RET_A, 0)]);
    }
    for code in [0x28, 0x30, 0x40, 0xb1, 0x8c, 0x9c, 0x94, 0xa7, 0x5d, 0xffff, 0x1006] {
        refused(&[op(code, 0), op(RET_K, 0)]);
    }
    refused(&[op(0x34, 0), op(RET_K, 0)]);
    refused(&[op(0x64, 32), op(RET_K, 0)]);
    // Memory: outside, or read before it is written on one of two ways.
    refused(&[op(ST, 16), op(RET_K, 0)]);
    refused(&[op(LD_MEM, 0), op(RET_A, 0)]);
    refused(&[branch(JEQ_K, 0, 0, 1), op(ST, 3), op(LD_MEM, 3), op(RET_A, 0)]);
    assert!(
        Program::check(&[op(ST, 3), branch(JEQ_K, 0, 0, 1), op(0, 0), op(LD_MEM, 3), op(RET_A, 0)]).is_ok()
    );
    assert!(Program::check(&vec![op(RET_K, 0); INSTRUCTIONS_MAX]).is_ok());
}

fn allowed(instructions: &[Instruction]) -> Vec<usize> {
    let allowed = Program::check(instructions).unwrap().always_allowed(ARCH).unwrap();
    (0..NUMBERS + 64).filter(|number| allowed.contains(*number)).collect()
}

#[test]
fn what_is_allowed_whatever_the_arguments_is_found() {
    // Number 39 is allowed, 40 depends on its first argument, the rest fails.
    let program = |architecture: u32| {
        [
            op(LD_ABS, 4),
            branch(JEQ_K, architecture, 0, 5),
            op(LD_ABS, 0),
            branch(JEQ_K, 39, 4, 0),
            branch(JEQ_K, 40, 0, 2),
            op(LD_ABS, 16),
            branch(JEQ_K, 1, 1, 0),
            op(RET_K, ERRNO | 1),
            op(RET_K, ALLOW),
        ]
    };
    assert_eq!(allowed(&program(ARCH)), [39]);
    assert!(allowed(&program(3)).is_empty());
    let program = Program::check(&program(ARCH)).unwrap();
    assert_eq!(Verdict::of(program.run(&data(40, 1))), Verdict::Allow);
    assert_eq!(Verdict::of(program.run(&data(40, 2))), Verdict::Errno(1));
}

#[test]
fn numbers_are_told_apart_by_every_test() {
    let numbers = |code: u16, constant: u32| {
        allowed(&[op(LD_ABS, 0), branch(code, constant, 0, 1), op(RET_K, ALLOW), op(RET_K, ERRNO)])
    };
    let expected = |holds: fn(u32, u32) -> bool, constant: u32| -> Vec<usize> {
        (0..NUMBERS).filter(|number| holds(*number as u32, constant)).collect()
    };
    for constant in [0, 1, 63, 64, 65, 0x55, 300, 511, 512, 0x4000_0000, 0x4000_0004, u32::MAX] {
        assert_eq!(numbers(0x15, constant), expected(|number, constant| number == constant, constant));
        assert_eq!(numbers(0x25, constant), expected(|number, constant| number > constant, constant));
        assert_eq!(numbers(0x35, constant), expected(|number, constant| number >= constant, constant));
        assert_eq!(numbers(0x45, constant), expected(|number, constant| number & constant != 0, constant));
    }
}

#[test]
fn the_sternest_verdict_comes_first() {
    let values = [0x8000_0000, 0, 0x3_0000, ERRNO, 0x7fc0_0000, 0x7ff0_0000, 0x7ffc_0000, ALLOW];
    assert!(values.is_sorted_by_key(|value| precedence(*value)));
    assert_eq!(precedence(ERRNO | 7), precedence(ERRNO));
    assert_eq!(Verdict::of(0x8000_0000), Verdict::KillProcess);
    assert_eq!(Verdict::of(0x1234_0000), Verdict::KillProcess);
    assert_eq!(Verdict::of(ERRNO | 13), Verdict::Errno(13));
}

fn instruction() -> impl Strategy<Value = Instruction> {
    let codes = prop_oneof![
        Just(0x20u16),
        Just(0x60),
        Just(2),
        Just(6),
        Just(0x16),
        Just(5),
        Just(0x15),
        0..0x100u16
    ];
    (codes, 0..6u8, 0..6u8, prop_oneof![0..70u32, any::<u32>()]).prop_map(
        |(code, jump_true, jump_false, operand)| Instruction { code, jump_true, jump_false, operand },
    )
}

proptest! {
    #[test]
    fn what_passes_the_check_runs_to_its_end(
        instructions in prop::collection::vec(instruction(), 1..12),
        number in 0..NUMBERS,
        first: u64,
    ) {
        if let Ok(program) = Program::check(&instructions) {
            let value = program.run(&data(number as u32, first));
            if program.always_allowed(ARCH).unwrap().contains(number) {
                prop_assert_eq!(Verdict::of(value), Verdict::Allow);
            }
        }
    }
}
