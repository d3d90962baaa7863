//! What the loader relies on: in-range answers for any bytes, and the right ones for a well-formed file.

use super::{HEADER_LEN, Header, Kind, Malformed, PROGRAM_HEADER_LEN, Program};
use alloc::vec::Vec;
use proptest::prelude::{Strategy, any, prop_assert, proptest};

const LIMIT: u64 = 0x7fff_ffff_f000;

fn header(entries: u16) -> Vec<u8> {
    let mut bytes = alloc::vec![0; HEADER_LEN];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16] = 3;
    bytes[18] = 62;
    bytes[24..32].copy_from_slice(&0x1040_u64.to_le_bytes());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54] = PROGRAM_HEADER_LEN as u8;
    bytes[56..58].copy_from_slice(&entries.to_le_bytes());
    bytes
}

fn entry(kind: u32, flags: u32, values: [u64; 6]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

fn load(offset: u64, address: u64, file_len: u64, memory_len: u64) -> Vec<u8> {
    entry(1, 5, [offset, address, address, file_len, memory_len, 0x1000])
}

fn parse(entries: &[Vec<u8>]) -> Result<Program, Malformed> {
    let header = Header::parse(&header(entries.len() as u16))?;
    Program::parse(&header, &entries.concat(), LIMIT)
}

#[test]
fn a_position_independent_program_is_understood() {
    let parsed = Header::parse(&header(3)).unwrap();
    assert_eq!((parsed.kind, parsed.entry, parsed.table_len), (Kind::Relocatable, 0x1040, 3));
    let program = parse(&[
        load(0, 0, 0x800, 0x800),
        load(0x1e00, 0x2e00, 0x200, 0x600),
        entry(0x6474_e551, 6, [0; 6]),
        entry(3, 4, [0x300, 0x300, 0x300, 28, 28, 1]),
    ])
    .unwrap();
    assert_eq!(program.span(), 0..0x4000);
    assert_eq!(program.table_address, Some(64));
    assert_eq!(program.executable_stack, Some(false));
    assert_eq!(program.interpreter, Some(0x300..0x31c));
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(parse(&[load(0, 0, 2, 1)]), Err(Malformed("a segment is longer in the file than in memory")));
    assert_eq!(parse(&[load(1, 0, 1, 1)]), Err(Malformed("a segment's address and offset disagree")));
    assert_eq!(parse(&[load(0, LIMIT, 0, 1)]), Err(Malformed("a segment is out of range")));
    assert_eq!(parse(&[load(0, !0xfff, 0, 0x2000)]), Err(Malformed("a segment is out of range")));
    assert_eq!(
        parse(&[load(0, 0x1000, 0, 2), load(1, 0x1001, 0, 1)]),
        Err(Malformed("segments overlap or are out of order"))
    );
    assert_eq!(parse(&[load(0, 0, 0, 0)]).unwrap().segments, []);
}

fn interesting() -> impl Strategy<Value = u64> {
    proptest::prop_oneof![any::<u64>(), 0..0x10_000_u64, (0..64_u32).prop_map(|bit| 1 << bit)]
}

proptest! {
    #[test]
    fn any_header_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = Header::parse(&bytes);
    }

    #[test]
    fn whatever_is_accepted_is_in_range(
        entries in proptest::collection::vec((0..8_u32, any::<u32>(), [interesting(), interesting(), interesting(), interesting(), interesting(), interesting()]), 1..6),
    ) {
        let entries: Vec<_> = entries.into_iter().map(|(kind, flags, values)| entry(kind, flags, values)).collect();
        if let Ok(program) = parse(&entries) {
            prop_assert!(program.span().end <= LIMIT.next_multiple_of(4096));
            let mut previous = 0;
            for segment in &program.segments {
                prop_assert!(segment.address >= previous && segment.file_len <= segment.memory_len);
                previous = segment.address + segment.memory_len;
            }
            prop_assert!(previous <= LIMIT);
        }
    }
}
