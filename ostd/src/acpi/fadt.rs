//! Fixed ACPI Description Table (ACPI 6.5, 5.2.9), and the one thing that we need from the DSDT.

use super::{little_endian, table};
use crate::boot::loader::ReadPhysical;

/// Address spaces in which a register of ours can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Memory.
    Memory,
    /// I/O ports.
    Port,
}

/// A generic address, of a space that we can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register {
    /// Where the address counts.
    pub space: Space,
    /// The address.
    pub address: u64,
}

/// Fixed registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fadt {
    /// PM1a control port: sleeping.
    pub pm1a_control: Option<u16>,
    /// PM1b control port.
    pub pm1b_control: Option<u16>,
    /// Sleep type values of S5 for PM1a and PM1b.
    pub sleep_types: (u8, u8),
    /// The 3.579545 MHz timer's port.
    pub pm_timer: Option<u16>,
    /// Reset register and the value that it wants.
    pub reset: Option<(Register, u8)>,
    /// Sleep control register (hardware-reduced ACPI).
    pub sleep_control: Option<Register>,
    /// CMOS index of the century, 0 if there is none.
    pub century: u8,
}

const RESET_REGISTER_SUPPORTED: u64 = 1 << 10;

/// Reads the table; fields that a short (old) table lacks count as absent.
pub(super) fn read(body: &[u8], physical: ReadPhysical<'_>) -> Option<Fadt> {
    let number = |offset: usize, len: usize| body.get(offset..offset + len).map_or(0, little_endian);
    let port = |offset: usize| u16::try_from(number(offset, 4)).ok().filter(|p| *p != 0);
    let dsdt = match number(140, 8) {
        0 => number(40, 4),
        address => address,
    };
    let reset = generic_address(body, 116).filter(|_| number(112, 4) & RESET_REGISTER_SUPPORTED != 0);
    Some(Fadt {
        pm1a_control: port(64),
        pm1b_control: port(68),
        sleep_types: table(dsdt, physical).and_then(find_s5).unwrap_or((0, 0)),
        pm_timer: port(76).filter(|_| number(91, 1) == 4),
        reset: reset.map(|register| (register, number(128, 1) as u8)),
        sleep_control: generic_address(body, 244),
        century: number(108, 1) as u8,
    })
}

/// ACPI 5.2.3.2; only spaces 0 and 1.
fn generic_address(body: &[u8], offset: usize) -> Option<Register> {
    let bytes = body.get(offset..offset + 12)?;
    let address = little_endian(&bytes[4..12]);
    let space = match bytes[0] {
        0 => Space::Memory,
        1 => Space::Port,
        _ => return None,
    };
    (address != 0 && (space == Space::Memory || address <= 0xffff)).then_some(Register { space, address })
}

/// The sleep types in `Name (_S5_, Package {a, b, …})`. The encoding of this one constant is fixed (ACPI 20.2), so that it can be
/// found without interpreting anything.
fn find_s5(dsdt: &[u8]) -> Option<(u8, u8)> {
    const PACKAGE: u8 = 0x12;
    let mut rest = dsdt;
    loop {
        let at = rest.iter().position(|b| *b == b'_')?;
        rest = &rest[at..];
        if let [b'_', b'S', b'5', b'_', PACKAGE, lead, ..] = *rest {
            // The package length takes 1 + (lead >> 6) bytes, the element count one.
            let mut elements = rest.get(7 + usize::from(lead >> 6)..)?;
            let a = small_integer(&mut elements)?;
            return Some((a, small_integer(&mut elements).unwrap_or(a)));
        }
        rest = &rest[1..];
    }
}

/// Zero, One, or a byte constant; a sleep type has three bits.
fn small_integer(bytes: &mut &[u8]) -> Option<u8> {
    let (value, len) = match **bytes {
        [value @ (0 | 1), ..] => (value, 1),
        [0x0a, value, ..] => (value, 2),
        _ => return None,
    };
    *bytes = &bytes[len..];
    Some(value & 7)
}

#[cfg(test)]
mod tests {
    use super::find_s5;

    #[test]
    fn sleep_types_are_found_in_all_encodings() {
        assert_eq!(find_s5(b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), Some((0, 0)));
        assert_eq!(find_s5(b"__S4_\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x07\x00\x00"), Some((5, 7)));
        assert_eq!(find_s5(b"_S5_\x12\x46\x00\x04\x01\x01"), Some((1, 1)));
        assert_eq!(find_s5(b"_S5_\x12"), None);
        assert_eq!(find_s5(b""), None);
    }
}
