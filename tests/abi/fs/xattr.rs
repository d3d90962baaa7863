//! Extended attributes: xattr(7). tmpfs of the oracle takes only `trusted.` and `security.` ones.

use std::fs::File;

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    attributes_read_back,
    attributes_are_listed_and_removed,
    attribute_calls_check_their_arguments,
);

fn set(name: &std::ffi::CStr, value: &[u8], flags: i32) -> nix::Result<()> {
    // SAFETY: both names are C strings, and the value has the length given.
    let result =
        unsafe { libc::setxattr(c"file".as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) };
    nix::errno::Errno::result(result).map(drop)
}

fn get(name: &std::ffi::CStr, room: usize) -> nix::Result<Vec<u8>> {
    let mut value = vec![0_u8; room];
    // SAFETY: both names are C strings, and the buffer has the length given.
    let result = unsafe { libc::getxattr(c"file".as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), room) };
    let len = nix::errno::Errno::result(result)?.unsigned_abs();
    value.resize(len, 0);
    Ok(value)
}

fn attributes_read_back() -> Outcome {
    File::create("file")?;
    set(c"trusted.one", b"value", 0)?;
    set(c"trusted.empty", b"", 0)?;
    check_eq!(get(c"trusted.one", 100)?, b"value".to_vec());
    check_eq!(get(c"trusted.one", 0)?.len(), 5);
    check_eq!(get(c"trusted.empty", 10)?, Vec::<u8>::new());
    set(c"trusted.one", b"another", 0)?;
    check_eq!(get(c"trusted.one", 100)?, b"another".to_vec());
    Ok(())
}

fn attributes_are_listed_and_removed() -> Outcome {
    File::create("file")?;
    set(c"trusted.one", b"1", 0)?;
    set(c"trusted.two", b"2", 0)?;
    let mut list = [0_u8; 100];
    // SAFETY: the path is a C string, and the buffer has the length given.
    let result = unsafe { libc::listxattr(c"file".as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    let len = nix::errno::Errno::result(result)?.unsigned_abs();
    let mut names: Vec<&[u8]> =
        list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    check_eq!(names, [b"trusted.one".as_slice(), b"trusted.two"]);
    // SAFETY: both names are C strings.
    nix::errno::Errno::result(unsafe { libc::removexattr(c"file".as_ptr(), c"trusted.one".as_ptr()) })?;
    check_fails!(get(c"trusted.one", 10), ENODATA);
    Ok(())
}

fn attribute_calls_check_their_arguments() -> Outcome {
    File::create("file")?;
    check_fails!(get(c"trusted.none", 10), ENODATA);
    check_fails!(get(c"nonsense.x", 10), EOPNOTSUPP);
    set(c"trusted.one", b"12345", libc::XATTR_CREATE)?;
    check_fails!(set(c"trusted.one", b"1", libc::XATTR_CREATE), EEXIST);
    check_fails!(set(c"trusted.two", b"1", libc::XATTR_REPLACE), ENODATA);
    check_fails!(get(c"trusted.one", 3), ERANGE);
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check!(set(c"trusted.three", b"1", 0).is_err());
    Ok(())
}
