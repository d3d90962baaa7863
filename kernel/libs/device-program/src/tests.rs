use alloc::vec::Vec;

use proptest::prelude::{any, prop};
use proptest::proptest;

use super::{LEN_MAX, Program, Question, Refused};

const NULL: Question = Question { is_block: false, access: 6, major: 1, minor: 3 };
const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

/// An instruction by code, target, source, offset and number.
fn slot(code: u8, target: u8, source: u8, offset: i16, number: i32) -> [u8; 8] {
    let ([low, high], [a, b, c, d]) = (offset.to_le_bytes(), number.to_le_bytes());
    [code, source << 4 | target, low, high, a, b, c, d]
}

fn load(slots: &[[u8; 8]]) -> Result<Program, Refused> {
    Program::load(slots.as_flattened())
}

fn set(target: u8, number: i32) -> [u8; 8] {
    slot(0xb7, target, 0, 0, number)
}

/// Allows reading and writing of 1:3, and making any device: as container runtimes write it.
fn usual() -> Program {
    load(&[
        slot(0x61, 2, 1, 0, 0),
        slot(0x54, 2, 0, 0, 0xffff),
        slot(0x61, 3, 1, 0, 0),
        slot(0x74, 3, 0, 0, 16),
        slot(0x61, 4, 1, 4, 0),
        slot(0x61, 5, 1, 8, 0),
        // Making (1 and nothing else).
        slot(0xbc, 1, 3, 0, 0),
        slot(0x54, 1, 0, 0, 1),
        slot(0x5d, 1, 3, 2, 0),
        set(0, 1),
        EXIT,
        // Character device 1:3, reading or writing.
        slot(0x55, 2, 0, 7, 2),
        slot(0xbc, 1, 3, 0, 0),
        slot(0x54, 1, 0, 0, 6),
        slot(0x5d, 1, 3, 4, 0),
        slot(0x55, 4, 0, 3, 1),
        slot(0x55, 5, 0, 2, 3),
        set(0, 1),
        EXIT,
        set(0, 0),
        EXIT,
    ])
    .unwrap()
}

#[test]
fn a_usual_program_allows_what_it_names() {
    let program = usual();
    assert_eq!(program.len(), 21);
    assert!(program.run(NULL));
    assert!(program.run(Question { access: 4, ..NULL }));
    assert!(!program.run(Question { access: 7, ..NULL }));
    assert!(!program.run(Question { minor: 4, ..NULL }));
    assert!(!program.run(Question { is_block: true, ..NULL }));
    assert!(program.run(Question { is_block: true, access: 1, major: 8, minor: 0 }));
}

#[test]
fn what_is_not_straight_is_refused() {
    assert_eq!(load(&[]), Err(Refused));
    assert_eq!(load(&[set(0, 1)]), Err(Refused), "no exit");
    assert_eq!(load(&[slot(0x05, 0, 0, -1, 0), EXIT]), Err(Refused), "back");
    assert_eq!(load(&[slot(0x05, 0, 0, 1, 0), EXIT]), Err(Refused), "out");
    assert_eq!(load(&[slot(0x85, 0, 0, 0, 1), EXIT]), Err(Refused), "a call");
    assert_eq!(load(&[slot(0x62, 10, 0, -8, 1), EXIT]), Err(Refused), "a store");
    assert_eq!(load(&[set(10, 1), EXIT]), Err(Refused), "the frame");
    assert_eq!(load(&[slot(0x18, 0, 0, 0, 1), EXIT]), Err(Refused), "half a number");
    let into = [slot(0x05, 0, 0, 1, 0), slot(0x18, 0, 0, 0, 1), slot(0, 0, 0, 0, 0), EXIT];
    assert_eq!(load(&into), Err(Refused), "into a number");
    assert_eq!(load(&alloc::vec![EXIT; LEN_MAX + 1]), Err(Refused));
    assert_eq!(Program::load(&EXIT[..7]), Err(Refused));
}

#[test]
fn what_makes_no_sense_denies() {
    let denied = [
        // A register that was never set, the address of the question, a field that there is not.
        load(&[EXIT]),
        load(&[slot(0xbf, 0, 1, 0, 0), EXIT]),
        load(&[slot(0x61, 0, 1, 12, 0), EXIT]),
        load(&[slot(0x61, 0, 1, 2, 0), EXIT]),
        load(&[set(2, 0), slot(0x61, 0, 2, 0, 0), EXIT]),
        load(&[slot(0x07, 1, 0, 0, 4), set(0, 1), EXIT]),
    ];
    for program in denied {
        assert!(!program.unwrap().run(NULL));
    }
}

#[test]
fn numbers_are_as_wide_as_they_say() {
    let returns = |slots: &[[u8; 8]]| load(&[slots, &[EXIT]].concat()).unwrap().run(NULL);
    // -1 >> 63 is 1, and in half of the width -1 >> 31.
    assert!(returns(&[set(0, -1), slot(0x77, 0, 0, 0, 63)]));
    assert!(returns(&[set(0, -1), slot(0x74, 0, 0, 0, 31)]));
    assert!(!returns(&[set(0, -1), slot(0x74, 0, 0, 0, 31), slot(0x17, 0, 0, 0, 1)]));
    // Division by zero.
    assert!(!returns(&[set(0, 5), slot(0x37, 0, 0, 0, 0)]));
    assert!(returns(&[set(0, 5), slot(0x97, 0, 0, 0, 0)]));
    // A wide number: 1 << 32 | 1.
    assert!(returns(&[slot(0x18, 0, 0, 0, 1), slot(0, 0, 0, 0, 1)]));
    // -1 is less than 1 only with a sign.
    let compare = |code| returns(&[set(0, 1), set(2, -1), slot(code, 2, 0, 1, 1), set(0, 0)]);
    assert!(compare(0xc5));
    assert!(!compare(0xa5));
    assert!(compare(0x26));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_run_to_an_end(slots in prop::collection::vec(any::<[u8; 8]>(), 0..40)) {
        let slots: Vec<_> = slots.into_iter().chain([EXIT]).collect();
        if let Ok(program) = load(&slots) {
            let _ = program.run(NULL);
        }
    }
}
