//! Broken ELF files: an error or a signal, and the machine goes on.

use super::image::{EXIT_42, Image};
use crate::case::{Failure, Outcome, cases, check, check_fails};

cases!("elf":
    garbage_fails_with_enoexec,
    an_empty_file_fails_with_enoexec,
    another_machine_fails_with_enoexec,
    truncated_files_do_not_run,
    bad_program_headers_do_not_run,
    segments_in_the_kernel_do_not_run,
    an_entry_outside_of_the_program_segfaults,
    random_damage_never_harms_the_kernel,
);

fn is_refused(image: &Image) -> Outcome {
    match image.run() {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOEXEC | libc::EINVAL | libc::ENOMEM | libc::EIO)
            ) =>
        {
            Ok(())
        }
        Ok(code) if code < 0 => Ok(()),
        other => Err(Failure::wrong(format!("{other:?}"))),
    }
}

fn garbage_fails_with_enoexec() -> Outcome {
    check_fails!(Image { bytes: b"this is no program\n".repeat(100) }.run(), ENOEXEC);
    check_fails!(Image { bytes: vec![0; 4096] }.run(), ENOEXEC);
    check_fails!(Image { bytes: b"\x7fELF".to_vec() }.run(), ENOEXEC);
    Ok(())
}

fn an_empty_file_fails_with_enoexec() -> Outcome {
    check_fails!(Image { bytes: Vec::new() }.run(), ENOEXEC);
    Ok(())
}

fn another_machine_fails_with_enoexec() -> Outcome {
    let image = Image::new(&EXIT_42);
    check_fails!(image.patched(18, &183_u16.to_le_bytes()).run(), ENOEXEC);
    check_fails!(image.patched(16, &1_u16.to_le_bytes()).run(), ENOEXEC);
    Ok(())
}

fn truncated_files_do_not_run() -> Outcome {
    let image = Image::new(&EXIT_42);
    for len in [5, 16, 40, 63, 64, 100, 119] {
        is_refused(&Image { bytes: image.bytes[..len].to_vec() })?;
    }
    Ok(())
}

fn bad_program_headers_do_not_run() -> Outcome {
    let image = Image::new(&EXIT_42);
    // A table that is not there, of no entries, of entries with another size, of too many.
    is_refused(&image.patched(32, &u64::MAX.to_le_bytes()))?;
    is_refused(&image.patched(32, &1_000_000_u64.to_le_bytes()))?;
    is_refused(&image.patched(56, &0_u16.to_le_bytes()))?;
    is_refused(&image.patched(54, &10_u16.to_le_bytes()))?;
    is_refused(&image.patched(56, &u16::MAX.to_le_bytes()))?;
    // More bytes in the file than in memory.
    is_refused(&image.patched(64 + 40, &1_u64.to_le_bytes()))
}

fn segments_in_the_kernel_do_not_run() -> Outcome {
    let image = Image::new(&EXIT_42);
    for address in [0xffff_8000_0000_0000_u64, 0x7fff_ffff_f000, u64::MAX - 100, 1 << 47] {
        is_refused(&image.patched(64 + 16, &address.to_le_bytes()))?;
    }
    is_refused(&image.patched(64 + 40, &(1_u64 << 62).to_le_bytes()))?;
    is_refused(&image.patched(64 + 40, &u64::MAX.to_le_bytes()))
}

fn an_entry_outside_of_the_program_segfaults() -> Outcome {
    for entry in [0, 0x1000, 0x7fff_0000_0000, 0xffff_8000_0000_0000, u64::MAX] {
        let code = Image::new(&EXIT_42).patched(24, &u64::to_le_bytes(entry)).run()?;
        check!(code == -libc::SIGSEGV, "entry {entry:#x} ended with {code}");
    }
    Ok(())
}

fn random_damage_never_harms_the_kernel() -> Outcome {
    // A fixed xorshift sequence: the same files in every run. Whether a file runs is not the question.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..200 {
        let mut image = Image::new(&EXIT_42);
        for _ in 0..=next() % 4 {
            let at = 16 + usize::try_from(next() % 104)?;
            image.bytes[at] = next().to_le_bytes()[0];
        }
        let _ = image.run();
    }
    check!(Image::new(&EXIT_42).run()? == 42);
    Ok(())
}
