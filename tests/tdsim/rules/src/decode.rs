//! Where an instruction reaches: candidates for the linear address of an access to a device.
//!
//! A processor with EPT tells the guest the linear address of a violation; SVM does not, so it is found again: each address that the
//! instruction may have used is given here, and the module takes the one that the guest's page tables map to the page in question.
//! SDM vol. 2, chapters 2 and appendix A.

/// What addresses are made of.
#[derive(Clone, Copy)]
pub struct State<'a> {
    /// General registers by number.
    pub general: &'a dyn Fn(u8) -> u64,
    /// Address of the instruction.
    pub rip: u64,
    /// Bases of FS and GS.
    pub fs_base: u64,
    /// Base of GS.
    pub gs_base: u64,
}

impl core::fmt::Debug for State<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        formatter.debug_struct("State").field("rip", &self.rip).finish_non_exhaustive()
    }
}

const RSP: u8 = 4;
const RBP: u8 = 5;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// Addresses that the instruction `bytes` may use: its memory operand, the ends of a string move, the stack's top, itself.
#[must_use]
pub fn addresses(bytes: &[u8], state: &State) -> [Option<u64>; 5] {
    let mut reader = Reader { bytes, at: 0 };
    let general = state.general;
    let operand = instruction(&mut reader, state);
    let (source, target) = match operand {
        Some(Found::String { segment }) => (Some(general(RSI).wrapping_add(segment)), Some(general(RDI))),
        Some(Found::Operand(address)) => (Some(address), None),
        None => (None, None),
    };
    [source, target, Some(general(RSP).wrapping_sub(8)), Some(general(RSP)), Some(state.rip)]
}

/// RDSEED, which QEMU's processor does not have and every one with TDX has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RdSeed {
    /// Number of the general register.
    pub register: u8,
    /// How many bits of it are written; with 32, the upper half is cleared.
    pub bits: u32,
    /// Length of the instruction.
    pub length: usize,
}

/// Recognises it: 0F C7 /7 with a register (SDM vol. 2).
#[must_use]
pub fn rdseed(bytes: &[u8]) -> Option<RdSeed> {
    const WIDE: u8 = 8;
    const EXTENDED: u8 = 1;
    let (is_narrow, rest) = match bytes {
        [0x66, rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (rex, rest) = match rest {
        [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest),
        rest => (0, rest),
    };
    let [0x0f, 0xc7, modrm @ 0xf8..=0xff, ..] = rest else { return None };
    let bits = match (rex & WIDE != 0, is_narrow) {
        (true, _) => 64,
        (false, true) => 16,
        (false, false) => 32,
    };
    let register = modrm & 7 | (rex & EXTENDED) << 3;
    Some(RdSeed { register, bits, length: bytes.len() - rest.len() + 3 })
}

enum Found {
    Operand(u64),
    String { segment: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Map {
    One,
    Two,
    Three38,
    Three3A,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.bytes.get(self.at..self.at + len)?;
        self.at += len;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

#[derive(Default)]
struct Prefixes {
    segment: u64,
    has_operand_size: bool,
    has_address_size: bool,
    rex: u8,
}

fn instruction(reader: &mut Reader, state: &State) -> Option<Found> {
    let mut prefixes = Prefixes::default();
    let mut opcode = reader.next()?;
    loop {
        match opcode {
            0x64 => prefixes.segment = state.fs_base,
            0x65 => prefixes.segment = state.gs_base,
            0x66 => prefixes.has_operand_size = true,
            0x67 => prefixes.has_address_size = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3 => {}
            _ => break,
        }
        opcode = reader.next()?;
    }
    if opcode & 0xf0 == 0x40 {
        prefixes.rex = opcode;
        opcode = reader.next()?;
    }
    let map = match opcode {
        0x0f => {
            opcode = reader.next()?;
            match opcode {
                0x38 => {
                    opcode = reader.next()?;
                    Map::Three38
                }
                0x3a => {
                    opcode = reader.next()?;
                    Map::Three3A
                }
                _ => Map::Two,
            }
        }
        _ => Map::One,
    };
    if map == Map::One {
        match opcode {
            0xa4..=0xa7 | 0xaa..=0xaf | 0x6c..=0x6f => {
                return Some(Found::String { segment: prefixes.segment });
            }
            0xa0..=0xa3 => {
                let len = if prefixes.has_address_size { 4 } else { 8 };
                return Some(Found::Operand(reader.number(len)?.wrapping_add(prefixes.segment)));
            }
            _ => {}
        }
    }
    has_modrm(map, opcode).then(|| operand(reader, state, &prefixes, map, opcode)).flatten()
}

fn operand(reader: &mut Reader, state: &State, prefixes: &Prefixes, map: Map, opcode: u8) -> Option<Found> {
    let general = state.general;
    let modrm = reader.next()?;
    let (mode, register, base) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
    if mode == 3 {
        return None;
    }
    let extended = |number: u8, bit: u8| number | if prefixes.rex & bit != 0 { 8 } else { 0 };
    let mut is_relative = false;
    let mut address = if base == RSP {
        let sib = reader.next()?;
        let (scale, index, base) = (sib >> 6, extended(sib >> 3 & 7, 2), sib & 7);
        let scaled = if index == RSP { 0 } else { general(index) << scale };
        if base == RBP && mode == 0 {
            sign_extended(reader.number(4)?, 32).wrapping_add(scaled)
        } else {
            general(extended(base, 1)).wrapping_add(scaled)
        }
    } else if base == RBP && mode == 0 {
        is_relative = true;
        sign_extended(reader.number(4)?, 32)
    } else {
        general(extended(base, 1))
    };
    match mode {
        1 => address = address.wrapping_add(sign_extended(reader.number(1)?, 8)),
        2 => address = address.wrapping_add(sign_extended(reader.number(4)?, 32)),
        _ => {}
    }
    if is_relative {
        let length = reader.at + immediate_length(map, opcode, register, prefixes.has_operand_size);
        address = address.wrapping_add(state.rip).wrapping_add(length as u64);
    }
    if prefixes.has_address_size {
        address &= 0xffff_ffff;
    }
    Some(Found::Operand(address.wrapping_add(prefixes.segment)))
}

fn has_modrm(map: Map, opcode: u8) -> bool {
    match map {
        Map::One => matches!(
            opcode,
            0x00..=0x03 | 0x08..=0x0b | 0x10..=0x13 | 0x18..=0x1b | 0x20..=0x23 | 0x28..=0x2b | 0x30..=0x33
                | 0x38..=0x3b | 0x62 | 0x63 | 0x69 | 0x6b | 0x80..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7
                | 0xd0..=0xd3 | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff
        ),
        Map::Two => !matches!(
            opcode,
            0x05..=0x09 | 0x0b | 0x30..=0x37 | 0x77 | 0x80..=0x8f | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf
        ),
        Map::Three38 | Map::Three3A => true,
    }
}

/// Only what is behind a memory operand.
fn immediate_length(map: Map, opcode: u8, register: u8, has_operand_size: bool) -> usize {
    let word = if has_operand_size { 2 } else { 4 };
    match (map, opcode) {
        (Map::One, 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 | 0x6b) | (Map::Three3A, _) => 1,
        (Map::Two, 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6) => 1,
        (Map::One, 0x81 | 0x69 | 0xc7) => word,
        (Map::One, 0xf6) if register < 2 => 1,
        (Map::One, 0xf7) if register < 2 => word,
        _ => 0,
    }
}

const fn sign_extended(value: u64, bits: u32) -> u64 {
    ((value << (64 - bits)) as i64 >> (64 - bits)) as u64
}

#[cfg(test)]
mod tests {
    use super::{RdSeed, State, addresses, rdseed};

    fn first(bytes: &[u8]) -> Option<u64> {
        let general = |number: u8| u64::from(number) * 0x1000;
        addresses(bytes, &State { general: &general, rip: 0x10_0000, fs_base: 0x7_0000, gs_base: 0x8_0000 })
            [0]
    }

    #[test]
    fn operands_are_found() {
        for (bytes, address) in [
            // mov eax, [rdi]; mov [rsi+8], eax; mov [r9+rcx*4-0x10], rax
            (&[0x8b, 0x07][..], 0x7000),
            (&[0x89, 0x46, 0x08], 0x6008),
            (&[0x49, 0x89, 0x44, 0x89, 0xf0], 0x9000 + 0x4000 - 0x10),
            // movzx eax, byte [rdx+0x12345678]; mov dword [rip+0x10], 5 (10 bytes long)
            (&[0x0f, 0xb6, 0x82, 0x78, 0x56, 0x34, 0x12], 0x2000 + 0x1234_5678),
            (&[0xc7, 0x05, 0x10, 0, 0, 0, 5, 0, 0, 0], 0x10_0000 + 10 + 0x10),
            // mov al, gs:[rbx]; mov eax, [0x1234]; mov rax, moffs
            (&[0x65, 0x8a, 0x03], 0x8_3000),
            (&[0x8b, 0x04, 0x25, 0x34, 0x12, 0, 0], 0x1234),
            (&[0x48, 0xa1, 1, 2, 0, 0, 0, 0, 0, 0], 0x201),
            // rep movsb from RSI; mov [rsp], eax
            (&[0xf3, 0xa4], 0x6000),
            (&[0x89, 0x04, 0x24], 0x4000),
        ] {
            assert_eq!(first(bytes), Some(address), "{bytes:x?}");
        }
    }

    #[test]
    fn rdseed_is_recognised() {
        let expect = |bytes: &[u8], register, bits, length| {
            assert_eq!(rdseed(bytes), Some(RdSeed { register, bits, length }), "{bytes:x?}");
        };
        expect(&[0x0f, 0xc7, 0xf9, 0x90], 1, 32, 3);
        expect(&[0x48, 0x0f, 0xc7, 0xfa], 2, 64, 4);
        expect(&[0x49, 0x0f, 0xc7, 0xff], 15, 64, 4);
        expect(&[0x66, 0x41, 0x0f, 0xc7, 0xf8], 8, 16, 5);
        // RDRAND; RDSEED of memory; cut off.
        for bytes in [&[0x0f, 0xc7, 0xf1][..], &[0x0f, 0xc7, 0x3f], &[0x0f, 0xc7], &[0x48]] {
            assert_eq!(rdseed(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn instructions_without_an_operand_have_none() {
        for bytes in [&[0x89, 0xc8][..], &[0x90], &[], &[0x0f], &[0x8b], &[0x66, 0x66]] {
            assert_eq!(first(bytes), None, "{bytes:x?}");
        }
    }
}
