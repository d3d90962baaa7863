//! Pending, private and shared pages.

use super::{Verdict, check};
use crate::machine::{Outcome, Registers, SPARE, attempt, read, shared, write};
use crate::td::{self, Ve};

const ACCEPT: u64 = 6;
const MAP: u64 = 0x1_0001;
const PAGE: u64 = 4096;
const LARGE: u64 = 2 << 20;
const ALREADY_ACCEPTED: u64 = 0xB0A_0000_0001;
const SIZE_MISMATCH: u64 = 0xC000_0B0B_0000_0001;
const OPERAND_INVALID: u64 = 0xC000_0100_0000_0001;
const RETRY: u64 = 1;
const INVALID_OPERAND: u64 = 1 << 63;
const ALIGN_ERROR: u64 = 1 << 63 | 2;

fn accept_at(gpa: u64, level: u64) -> u64 {
    td::leaf(ACCEPT, [gpa | level, 0, 0]).0
}

/// MapGPA until it is done. Gives how often it had to be called again.
fn map(gpa: u64, len: u64, to_shared: bool) -> Result<u32, &'static str> {
    let bit = if to_shared { td::shared_bit() } else { 0 };
    let (mut at, end) = (gpa | bit, (gpa | bit) + len);
    let mut retries = 0;
    loop {
        let (answer, registers) = td::vmcall(MAP, [at, end - at, 0, 0]);
        match answer {
            0 => return Ok(retries),
            RETRY if registers.r11 > at && registers.r11 < end => at = registers.r11,
            _ => return Err("MapGPA fails"),
        }
        retries += 1;
    }
}

/// One page.
pub fn accept() -> Verdict {
    check(accept_at(SPARE, 0) == 0, "a pending page is not accepted")?;
    check(read::<u64>(SPARE) == 0, "an accepted page is not zero")?;
    write(SPARE, 7_u64);
    check(accept_at(SPARE, 0) == ALREADY_ACCEPTED, "it can be accepted twice")?;
    check(read::<u64>(SPARE) == 7, "the second time clears it")
}

/// A large page that is in one piece, wherever the next one is.
pub fn accept_large() -> Verdict {
    let gpa = (1..4).map(|number| SPARE + number * LARGE).find(|gpa| accept_at(*gpa, 1) == 0);
    let gpa = gpa.ok_or("no large page is accepted")?;
    check(read::<u64>(gpa + LARGE - 8) == 0, "its end is not there")?;
    check(accept_at(gpa, 1) == ALREADY_ACCEPTED, "it can be accepted twice")?;
    check(accept_at(gpa + PAGE, 0) == ALREADY_ACCEPTED, "a part of it can be accepted again")
}

/// What may not be accepted.
pub fn accept_refusals() -> Verdict {
    for operand in [SPARE | 2, SPARE | 3, SPARE + 8, SPARE + PAGE + 1, td::shared_bit() | SPARE] {
        check(accept_at(operand, 0) == OPERAND_INVALID, "a wrong operand is taken")?;
    }
    Ok(())
}

/// A large page of which a part was accepted is no longer in one piece; nor are some from the start.
pub fn small_mappings() -> Verdict {
    check(accept_at(SPARE, 1) == SIZE_MISMATCH, "the rest of a page can be accepted in one piece")?;
    let is_small = |number: u64| {
        let gpa = SPARE + number * LARGE;
        accept_at(gpa, 1) == SIZE_MISMATCH && (0..512).all(|page| accept_at(gpa + page * PAGE, 0) == 0)
    };
    check((8..14).any(is_small), "every large page is in one piece")
}

/// To shared and back.
pub fn share() -> Verdict {
    let gpa = SPARE + 20 * LARGE;
    check(accept_at(gpa, 0) == 0, "a pending page is not accepted")?;
    write(gpa, 0x5ec2e7_u64);
    map(gpa, PAGE, true)?;
    check(read::<u64>(shared(gpa)) == 0, "what was private can be seen")?;
    write(shared(gpa), 0xbeef_u64);
    check(read::<u64>(shared(gpa)) == 0xbeef, "shared memory does not keep what is written")?;
    map(gpa, PAGE, false)?;
    check(accept_at(gpa, 0) == 0, "it cannot be accepted after it came back")?;
    check(read::<u64>(gpa) == 0, "it comes back with something in it")
}

/// A page that was never accepted.
pub fn share_pending() -> Verdict {
    let gpa = SPARE + 24 * LARGE;
    map(gpa, LARGE, true)?;
    write(shared(gpa + LARGE - 8), 3_u64);
    check(read::<u64>(shared(gpa + LARGE - 8)) == 3, "it does not keep what is written")
}

/// Sooner or later the VMM wants to be called again.
pub fn retry() -> Verdict {
    let gpa = SPARE + 26 * LARGE;
    let mut retries = 0;
    for _ in 0..4 {
        retries += map(gpa, LARGE, true)?;
        retries += map(gpa, LARGE, false)?;
    }
    check(retries > 0, "MapGPA never says RETRY")?;
    check(accept_at(gpa, 1) == 0, "the whole is not pending in one piece")
}

/// What MapGPA refuses.
pub fn map_refusals() -> Verdict {
    let call = |gpa: u64, len: u64| td::vmcall(MAP, [gpa, len, 0, 0]).0;
    check(call(SPARE + 1, PAGE) == ALIGN_ERROR, "an address within a page is taken")?;
    check(call(SPARE, 1) == ALIGN_ERROR, "a part of a page is taken")?;
    check(call(SPARE, 0) == INVALID_OPERAND, "nothing is taken")?;
    check(call(td::shared_bit() - PAGE, 2 * PAGE) == INVALID_OPERAND, "the end of the address space is taken")
}

/// A device's page traps, with all that the guest needs to know.
pub fn device() -> Verdict {
    const IO_APIC: u64 = 0xfec0_0000;
    let address = shared(IO_APIC) + 0x10;
    let expected = |qualification| {
        Outcome::Ve(Ve {
            reason: 48,
            qualification,
            gla: address,
            gpa: td::shared_bit() | IO_APIC | 0x10,
            length: 0,
        })
    };
    // MOV EAX, [RSI]; MOV [RSI+8], EAX.
    let read = attempt(&[0x8b, 0x06], &mut Registers { rsi: address, ..Registers::default() });
    check(read == expected(0x181), "reading does not trap as it should")?;
    let write = attempt(&[0x89, 0x46, 0x08], &mut Registers { rsi: address - 8, ..Registers::default() });
    check(write == expected(0x182), "writing does not trap as it should")
}

/// A pending page raises an exception where the domain wants to hear of it.
pub fn pending_exception() -> Verdict {
    let gpa = SPARE + 30 * LARGE;
    let outcome = attempt(&[0x8b, 0x06], &mut Registers { rsi: gpa, ..Registers::default() });
    let expected = Ve { reason: 48, qualification: 0x181, gla: gpa, gpa, length: 0 };
    check(outcome == Outcome::Ve(expected), "reading a pending page does not trap as it should")?;
    check(accept_at(gpa, 0) == 0 && read::<u64>(gpa) == 0, "it cannot be accepted then")
}

/// Ends the domain.
pub fn use_pending() -> Verdict {
    read::<u64>(SPARE + 30 * LARGE);
    Err("a pending page can be read")
}

/// Ends the domain.
pub fn use_shared_as_private() -> Verdict {
    let gpa = SPARE + 31 * LARGE;
    map(gpa, PAGE, true)?;
    read::<u64>(gpa);
    Err("a shared page can be read as a private one")
}

/// Ends the domain.
pub fn use_private_as_shared() -> Verdict {
    let gpa = SPARE + 32 * LARGE;
    check(accept_at(gpa, 0) == 0, "a pending page is not accepted")?;
    read::<u64>(shared(gpa));
    Err("a private page can be read as a shared one")
}

/// Ends the domain.
pub fn accept_shared() -> Verdict {
    let gpa = SPARE + 33 * LARGE;
    map(gpa, PAGE, true)?;
    accept_at(gpa, 0);
    Err("a shared page can be accepted")
}

/// Ends the domain when it ends in order: what is private was copied to shared memory. The canary is on the command line, each letter one
/// behind its own, so that only this writes it.
pub fn leak() -> Verdict {
    let gpa = SPARE + 34 * LARGE;
    map(gpa, PAGE, true)?;
    let line = crate::machine::command_line();
    let canary =
        line.split_ascii_whitespace().find_map(|word| word.strip_prefix("canary=")).ok_or("no canary")?;
    for (offset, letter) in (100..).zip(canary.bytes()) {
        write(shared(gpa + offset), letter - 1);
    }
    Ok(())
}

/// For other cases: shared memory that was never used.
pub fn make_shared(gpa: u64, len: u64) -> Verdict {
    map(gpa, len, true).map(drop)
}

/// Conversions with a second processor in the guest.
pub fn convert_while_others_run() -> Verdict {
    let gpa = SPARE + 44 * LARGE;
    for number in 0..50_u64 {
        check(accept_at(gpa, 0) == 0, "a pending page is not accepted")?;
        write(gpa, number + 1);
        map(gpa, PAGE, true)?;
        check(read::<u64>(shared(gpa)) == 0, "what was private can be seen")?;
        write(shared(gpa), number);
        map(gpa, PAGE, false)?;
    }
    Ok(())
}
