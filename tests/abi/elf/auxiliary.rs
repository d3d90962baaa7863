//! The auxiliary vector and the start of the stack: getauxval(3).

use std::ffi::CStr;

use crate::case::{Outcome, cases, check, check_eq};

cases!("elf":
    the_auxiliary_vector_tells_the_machine,
    random_bytes_differ_between_programs,
    addresses_differ_between_programs,
    secure_mode_is_off_for_root,
);

fn value(kind: libc::c_ulong) -> usize {
    // SAFETY: getauxval has no preconditions.
    usize::try_from(unsafe { libc::getauxval(kind) }).unwrap_or(0)
}

fn the_auxiliary_vector_tells_the_machine() -> Outcome {
    check_eq!(value(libc::AT_PAGESZ), 4096);
    check_eq!(value(libc::AT_CLKTCK), 100);
    check_eq!((value(libc::AT_UID), value(libc::AT_EGID)), (0, 0));
    check_eq!(value(libc::AT_PHENT), 56);
    check!(value(libc::AT_PHNUM) >= 2 && value(libc::AT_PHDR) != 0 && value(libc::AT_ENTRY) != 0);
    check!(value(libc::AT_SYSINFO_EHDR) != 0, "no vDSO");
    // SAFETY: the kernel gives the address of a C string on the stack.
    let platform = unsafe { CStr::from_ptr(value(libc::AT_PLATFORM) as *const libc::c_char) };
    check_eq!(platform, c"x86_64");
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(value(libc::AT_EXECFN) as *const libc::c_char) };
    check!(!name.is_empty());
    // SAFETY: the vDSO is mapped for the life of the process, and starts with an ELF header.
    let magic = unsafe { *(value(libc::AT_SYSINFO_EHDR) as *const [u8; 4]) };
    check_eq!(&magic, b"\x7fELF");
    Ok(())
}

/// What another run of this program prints: its random bytes and the address of its stack.
fn other() -> std::io::Result<String> {
    let output = crate::program::command("@start").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints the 16 random bytes and an address on the stack; a program of `@start`.
pub fn print_start() {
    // SAFETY: the kernel gives the address of 16 bytes on the stack.
    let random = unsafe { *(value(libc::AT_RANDOM) as *const [u8; 16]) };
    println!("{random:?}\n{:#x}", value(libc::AT_EXECFN));
}

fn random_bytes_differ_between_programs() -> Outcome {
    let (first, second) = (other()?, other()?);
    check!(first.lines().next() != second.lines().next(), "{first}");
    Ok(())
}

fn addresses_differ_between_programs() -> Outcome {
    let addresses = (0..4)
        .map(|_| Ok(other()?.lines().nth(1).map(str::to_owned)))
        .collect::<std::io::Result<Vec<_>>>()?;
    check!(addresses.windows(2).any(|pair| pair[0] != pair[1]), "the stack is always at {:?}", addresses[0]);
    Ok(())
}

fn secure_mode_is_off_for_root() -> Outcome {
    check_eq!(value(libc::AT_SECURE), 0);
    Ok(())
}
