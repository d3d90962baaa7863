//! Headers made by hand, and headers made by chance.

use super::*;
use alloc::vec;
use proptest::prelude::*;

const END: u64 = 0x7fff_ffff_f000;

fn file(kind: u16, headers: &[[u64; 6]]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = CLASS_64;
    bytes[5] = DATA_LITTLE_ENDIAN;
    bytes[16..18].copy_from_slice(&kind.to_le_bytes());
    bytes[18..20].copy_from_slice(&MACHINE_X86_64.to_le_bytes());
    bytes[24..32].copy_from_slice(&0x40_1000_u64.to_le_bytes());
    bytes[32..40].copy_from_slice(&(HEADER_LEN as u64).to_le_bytes());
    bytes[54..56].copy_from_slice(&(PROGRAM_HEADER_LEN as u16).to_le_bytes());
    bytes[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
    for [kind_and_flags, offset, address, file_len, memory_len, alignment] in headers {
        bytes.extend(kind_and_flags.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend(file_len.to_le_bytes());
        bytes.extend(memory_len.to_le_bytes());
        bytes.extend(alignment.to_le_bytes());
    }
    bytes
}

fn parse(bytes: &[u8]) -> Result<Program, Error> {
    let header = Header::parse(bytes)?;
    let start = header.table_offset as usize;
    let table = bytes.get(start..start + header.table_len()).ok_or(Error::Malformed)?;
    Program::parse(header, table, END)
}

const RX: u64 = 1 | 5 << 32;
const RW: u64 = 1 | 6 << 32;

#[test]
fn a_plain_program_is_read() {
    let bytes = file(
        TYPE_EXECUTABLE,
        &[[RX, 0, 0x40_0000, 0x800, 0x800, 4096], [RW, 0x800, 0x40_1800, 0x10, 0x3000, 4096]],
    );
    let program = parse(&bytes).unwrap();
    assert_eq!(program.segments.len(), 2);
    assert_eq!(program.span(), 0x40_0000..0x40_5000);
    assert_eq!(program.table_address, Some(0x40_0000 + HEADER_LEN as u64));
    assert!(!program.header.is_relocatable && program.segments[1].write && !program.segments[1].execute);
}

#[test]
fn other_machines_are_refused() {
    let mut bytes = file(TYPE_EXECUTABLE, &[[RX, 0, 0x40_0000, 1, 1, 4096]]);
    bytes[18] = 3;
    assert_eq!(parse(&bytes), Err(Error::OtherMachine));
    assert_eq!(parse(b"#!/bin/sh\n"), Err(Error::NotElf));
    assert_eq!(parse(b"\x7fELF"), Err(Error::Malformed));
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    for bad in [
        [RX, 0, 0x40_0000, 2, 1, 4096],
        [RX, 1, 0x40_0000, 1, 1, 4096],
        [RX, 0, END, 1, 1, 4096],
        [RX, 0, u64::MAX - 0xfff, 1, 0x1000, 4096],
        [RX, u64::MAX - 0xfff, 0x1000, 0x2000, 0x2000, 4096],
        [RX, 0, 0x1000, 0, 0, 4096],
    ] {
        assert_eq!(parse(&file(TYPE_SHARED, &[bad])), Err(Error::Malformed), "{bad:x?}");
    }
    let overlapping = [[RX, 0, 0x40_0000, 0x2000, 0x2000, 4096], [RX, 0, 0x40_1000, 1, 1, 4096]];
    assert_eq!(parse(&file(TYPE_SHARED, &overlapping)), Err(Error::Malformed));
    assert_eq!(parse(&file(TYPE_SHARED, &[])), Err(Error::Malformed));
}

proptest! {
    #[test]
    fn whatever_is_accepted_can_be_mapped(
        headers in prop::collection::vec(prop::array::uniform6(prop_oneof![0..8_u64, any::<u64>(), 0..0x10_0000_u64]), 1..6)
    ) {
        if let Ok(program) = parse(&file(TYPE_SHARED, &headers)) {
            let mut end = 0;
            for segment in &program.segments {
                prop_assert!(segment.address >= end && segment.file_len <= segment.memory_len);
                end = segment.address + segment.memory_len;
                prop_assert!(end <= END);
            }
            prop_assert!(program.alignment.is_power_of_two());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut elf = bytes.clone();
        elf.splice(0..0, MAGIC);
        let _ = parse(&bytes);
        let _ = parse(&elf);
    }
}
