//! Reports, measurement registers, quotes.

use super::{Verdict, check};
use crate::machine::{Page, SPARE, interrupts, physical, read, shared, write};
use crate::td;

static mut REPORT: Page = Page::ZERO;
static mut DATA: Page = Page::ZERO;

const OPERAND_INVALID: u64 = 0xC000_0100_0000_0000;

fn addresses() -> (u64, u64) {
    (physical(&raw const REPORT), physical(&raw const DATA))
}

/// A report, with these bytes in it.
fn report(data: u64) -> Result<u64, &'static str> {
    let (to, from) = addresses();
    (0..8).for_each(|word| write(from + word * 8, data));
    check(td::leaf(4, [to, from, 0]).0 == 0, "there is no report")?;
    Ok(to)
}

/// A report's form and its authentication.
pub fn form() -> Verdict {
    let gpa = report(0x1122_3344_5566_7788)?;
    check(read::<u32>(gpa) == 0x81, "it is not one of TDX")?;
    check(
        (0..8).all(|word| read::<u64>(gpa + 128 + word * 8) == 0x1122_3344_5566_7788),
        "the asker's data are not in it",
    )?;
    check(read::<u64>(gpa + 512) == 1 << 28, "the attributes are not in it")?;
    check(td::leaf(22, [gpa, 0, 0]).0 == 0, "it cannot be verified")?;
    write(gpa + 130, 0_u8);
    check(td::leaf(22, [gpa, 0, 0]).0 != 0, "a changed one can be verified")?;
    let (_, from) = addresses();
    check(td::leaf(4, [gpa + 512, from, 0]).0 == OPERAND_INVALID | 1, "it need not be aligned")?;
    check(td::leaf(4, [gpa, from + 8, 0]).0 == OPERAND_INVALID | 2, "the asker's data need not be aligned")?;
    check(td::leaf(4, [gpa, from, 1]).0 == OPERAND_INVALID | 8, "an unknown subtype is taken")?;
    check(
        td::leaf(4, [td::shared_bit() | gpa, from, 0]).0 == OPERAND_INVALID | 1,
        "a shared address is taken",
    )
}

/// SHA-384 of 96 zero bytes begins like this: what RTMR3 is after one extension by zero.
const ZERO_EXTENDED_ONCE: u64 = u64::from_be_bytes([0xf5, 0x7b, 0xb7, 0xed, 0x82, 0xc6, 0xae, 0x4a]);

/// Extending a register shows in the next report.
pub fn registers() -> Verdict {
    let before = report(0)?;
    check((0..6).all(|word| read::<u64>(before + 864 + word * 8) == 0), "RTMR3 is not zero at first")?;
    let mr_td: u64 = read(before + 528);
    let rtmr_1: u64 = read(before + 768);
    check(mr_td != 0 && rtmr_1 != 0, "MRTD or RTMR1 is zero")?;
    let (_, from) = addresses();
    (0..6).for_each(|word| write(from + word * 8, 0_u64));
    check(td::leaf(2, [from, 3, 0]).0 == 0, "RTMR3 cannot be extended")?;
    check(td::leaf(2, [from, 4, 0]).0 == OPERAND_INVALID | 2, "there is a fifth register")?;
    check(td::leaf(2, [from + 32, 3, 0]).0 == OPERAND_INVALID | 1, "the value need not be aligned")?;
    let after = report(0)?;
    check(read::<u64>(after + 864).swap_bytes() == ZERO_EXTENDED_ONCE, "RTMR3 is not what it must be")?;
    check(read::<u64>(after + 768) == rtmr_1, "RTMR1 changed with it")
}

/// A quote comes in its time, and the guest is told.
pub fn quote() -> Verdict {
    const VECTOR: u8 = 0x51;
    const LEN: u64 = 0x4000;
    const IN_FLIGHT: u64 = u64::MAX;
    let gpa = SPARE + 40 * (2 << 20);
    let buffer = shared(gpa);
    let shared_gpa = td::shared_bit() | gpa;
    super::memory::make_shared(gpa, LEN)?;
    check(td::vmcall(0x1_0004, [31, 0, 0, 0]).0 == 1 << 63, "an exception's vector is taken")?;
    check(td::vmcall(0x1_0004, [VECTOR.into(), 0, 0, 0]).0 == 0, "the vector is not taken")?;

    let from = report(0x0102_0304_0506_0708)?;
    for word in 0..128 {
        write(buffer + 24 + word * 8, read::<u64>(from + word * 8));
    }
    let ask = || {
        write(buffer, 1_u64);
        write(buffer + 8, 0_u64);
        write(buffer + 16, 1024_u64);
        td::vmcall(0x1_0002, [shared_gpa, LEN, 0, 0]).0
    };
    check(td::vmcall(0x1_0002, [gpa, LEN, 0, 0]).0 == 1 << 63, "a private buffer is taken")?;
    check(
        td::vmcall(0x1_0002, [shared_gpa + 8, LEN, 0, 0]).0 == 1 << 63 | 2,
        "a buffer within a page is taken",
    )?;
    check(ask() == 0, "it is refused")?;
    check(read::<u64>(buffer + 8) == IN_FLIGHT, "it is there at once")?;
    crate::machine::enable_interrupts();
    while read::<u64>(buffer + 8) == IN_FLIGHT {
        // HLT, with interrupts on.
        td::vmcall(12, [0; 4]);
    }
    crate::machine::disable_interrupts();
    check(interrupts(VECTOR) == 1, "the guest was not told")?;
    check(read::<u64>(buffer + 8) == 0, "it failed")?;
    let len = read::<u32>(buffer + 20);
    let version = read::<u16>(buffer + 24);
    check(len > 3000 && matches!(version, 4 | 5), "it is not a quote")?;
    let body = buffer + 24 + if version == 4 { 48 } else { 54 };
    check(read::<u64>(body + 520) == 0x0102_0304_0506_0708, "the asker's data are not in it")?;

    // A report that nobody made.
    for word in 0..128 {
        write(buffer + 24 + word * 8, word);
    }
    check(ask() == 0 && read::<u64>(buffer + 8) == 1 << 63, "a forged report is quoted")
}
