//! [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html), [execveat(2)](https://man7.org/linux/man-pages/man2/execveat.2.html)

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::lookup::{self, AT_FDCWD, LookupFlags, LookupStart};
use crate::loader::Arguments;
use crate::loader::arguments::{MAX_STRING, Strings};
use crate::process::exec;
use crate::process::rlimit::Resource;
use crate::syscall::{Fd, UserCStr, UserPtr};
use alloc::vec::Vec;

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_EMPTY_PATH: u32 = 0x1000;

/// Another program.
pub fn sys_execve(
    path: UserCStr,
    arguments: UserPtr<u64>,
    environment: UserPtr<u64>,
    context: &mut Context<'_>,
) -> Result<u64> {
    sys_execveat(Fd(AT_FDCWD), path, arguments, environment, 0, context)
}

/// Another program, relative to a directory or open file.
pub fn sys_execveat(
    directory: Fd,
    path: UserCStr,
    arguments: UserPtr<u64>,
    environment: UserPtr<u64>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<u64> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = path.read_path()?;
    let start = LookupStart::at(context.thread, directory, &path)?;
    let mut lookup_flags = LookupFlags::empty();
    lookup_flags.set(LookupFlags::FOLLOW, flags & AT_SYMLINK_NOFOLLOW == 0);
    lookup_flags.set(LookupFlags::EMPTY_PATH, flags & AT_EMPTY_PATH != 0);
    let found = lookup::lookup(&start, &path, lookup_flags)?;
    if flags & AT_SYMLINK_NOFOLLOW != 0
        && found.inode()?.access().file_type == crate::fs::vfs::inode::FileType::Symlink
    {
        return Err(Errno::ELOOP.into());
    }
    let name = name_of(directory, &path);
    let mut strings = Arguments {
        arguments: read_strings(arguments, context)?,
        environment: read_strings(environment, context)?,
    };
    if strings.arguments.count() == 0 {
        // Programs rely on argv[0]: an empty vector gets an empty string (Linux 5.18).
        strings.arguments.push(b"")?;
    }
    exec::execute(context.thread, context.user, found, &name, strings)?;
    Ok(0)
}

/// How a script finds itself again.
fn name_of(directory: Fd, path: &[u8]) -> Vec<u8> {
    if directory.0 == AT_FDCWD || path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let separator = if path.is_empty() { "" } else { "/" };
    let mut name = alloc::format!("/dev/fd/{}{separator}", directory.0).into_bytes();
    name.extend_from_slice(path);
    name
}

fn read_strings(list: UserPtr<u64>, context: &Context<'_>) -> Result<Strings> {
    let mut strings = Strings::default();
    if list.is_null() {
        return Ok(strings);
    }
    let limit = context.process.rlimit(Resource::Stack).0;
    let mut at = 0;
    loop {
        let address = list.cast_at::<u64>(at).read()?;
        if address == 0 {
            return Ok(strings);
        }
        let string = UserCStr::new(address as usize).read(MAX_STRING)?;
        strings.push(&string.ok_or(Error::with(Errno::E2BIG, "a string is too long"))?)?;
        at += size_of::<u64>();
        // Before the kernel holds more than it has to.
        strings.check(limit)?;
    }
}
