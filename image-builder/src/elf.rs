//! Makes the shipped kernel from the linked one: only what a loader reads stays.

use object::elf::{ELFCLASS64, EM_X86_64, ET_EXEC, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, U16, U64};

use crate::Error;

type Header = FileHeader64<LittleEndian>;

/// Drops section headers, symbols and debug information: everything behind the last byte that a program header covers.
///
/// Linkers put what is not loaded at the end of the file, so this is a cut and three zeroed header fields. Two links (one
/// with `strip`) would do the same at the price of a second code generation, and could differ from the twin that
/// symbolises panics.
///
/// # Errors
/// If `linked` is not a 64-bit x86-64 executable with a loadable segment, or a program header points outside of it.
pub fn strip(linked: &[u8]) -> Result<Vec<u8>, Error> {
    let (_, len) = checked(linked)?;
    let mut stripped = linked.get(..len).ok_or_else(|| bad("a segment lies outside of the file"))?.to_vec();
    let (header, _) = object::pod::from_bytes_mut::<Header>(&mut stripped).map_err(|()| bad("truncated"))?;
    header.e_shoff = U64::new(LittleEndian, 0);
    header.e_shnum = U16::new(LittleEndian, 0);
    header.e_shstrndx = U16::default();
    Ok(stripped)
}

/// Checks that `kernel` is an executable that the stub and a direct loader can start.
///
/// # Errors
/// As [`strip`].
pub fn check(kernel: &[u8]) -> Result<(), Error> {
    checked(kernel).map(|_| ())
}

/// The header and the length in bytes up to which program headers refer to the file.
fn checked(file: &[u8]) -> Result<(&Header, usize), Error> {
    let header = Header::parse(file).map_err(bad)?;
    if header.e_ident.class != ELFCLASS64
        || header.e_machine.get(LittleEndian) != EM_X86_64
        || header.e_type.get(LittleEndian) != ET_EXEC
    {
        return Err(bad("not a statically linked x86-64 executable"));
    }
    let segments = header.program_headers(LittleEndian, file).map_err(bad)?;
    if !segments.iter().any(|segment| segment.p_type(LittleEndian) == PT_LOAD) {
        return Err(bad("no loadable segment"));
    }
    let mut end = header.e_phoff.get(LittleEndian) + size_of_val(segments) as u64;
    for segment in segments {
        let (offset, size) = segment.file_range(LittleEndian);
        let segment_end =
            offset.checked_add(size).ok_or_else(|| bad("a segment lies outside of the file"))?;
        end = end.max(segment_end);
    }
    let end = usize::try_from(end).map_err(bad)?;
    if end > file.len() {
        return Err(bad("a segment lies outside of the file"));
    }
    Ok((header, end))
}

fn bad(reason: impl ToString) -> Error {
    Error::input("the kernel", reason)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{check, strip};

    #[test]
    fn other_files_are_refused() {
        for file in [b"".as_slice(), b"\x7fELF", b"MZ", &[0; 4096]] {
            assert!(check(file).is_err());
            assert!(strip(file).is_err());
        }
    }

    /// The smallest file that passes: an ELF header, one PT_LOAD header, four bytes of code.
    pub(crate) fn tiny_kernel() -> Vec<u8> {
        let mut file = vec![0_u8; 124];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[6] = 1;
        file[16..20].copy_from_slice(&[2, 0, 62, 0]);
        file[20] = 1;
        file[32] = 64;
        file[40..48].copy_from_slice(&124_u64.to_le_bytes());
        file[52..58].copy_from_slice(&[64, 0, 56, 0, 1, 0]);
        file[64] = 1;
        file[72] = 120;
        file[96] = 4;
        file[104] = 4;
        file
    }

    #[test]
    fn what_no_segment_covers_is_cut() {
        let mut linked = tiny_kernel();
        linked.extend_from_slice(b"debug information");
        let stripped = strip(&linked).unwrap();
        assert_eq!(stripped.len(), 124);
        assert_eq!(&stripped[40..48], &[0; 8], "the section header offset is cleared");
        assert!(check(&stripped).is_ok());
    }

    #[test]
    fn segment_outside_of_the_file_is_refused() {
        let mut linked = tiny_kernel();
        linked[96] = 200;
        assert!(strip(&linked).is_err());
        linked[96..104].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(strip(&linked).is_err());
    }
}
