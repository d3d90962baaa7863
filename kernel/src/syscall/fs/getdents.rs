//! getdents64(2), getdents(2).

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::inode::DirEntry;
use crate::syscall::{Fd, UserPtr};

/// d_ino, d_off, d_reclen, then (64) d_type.
const HEADER: usize = 18;
/// The longest record: header, type, 255 bytes of name, NUL, padding.
const RECORD_MAX: usize = 280;

/// getdents64(2).
pub fn sys_getdents64(fd: Fd, buffer: UserPtr<u8>, len: u32, context: &mut Context<'_>) -> Result<usize> {
    read(fd, buffer, len, context, |record, entry| {
        record[HEADER] = entry.file_type.dirent_type();
        record[HEADER + 1..][..entry.name.len()].copy_from_slice(entry.name);
    })
}

/// getdents(2), the old form: the type is in the record's last byte.
pub fn sys_getdents(fd: Fd, buffer: UserPtr<u8>, len: u32, context: &mut Context<'_>) -> Result<usize> {
    read(fd, buffer, len, context, |record, entry| {
        record[HEADER..][..entry.name.len()].copy_from_slice(entry.name);
        if let Some(last) = record.last_mut() {
            *last = entry.file_type.dirent_type();
        }
    })
}

fn read(
    fd: Fd,
    buffer: UserPtr<u8>,
    len: u32,
    context: &Context<'_>,
    fill: impl Fn(&mut [u8], &DirEntry<'_>),
) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let mut writer = buffer.writer(len as usize)?;
    let mut written = 0;
    let mut failure: Option<Error> = None;
    file.ops().read_dir(&file, &mut |entry| {
        let record_len = (HEADER + 2 + entry.name.len()).next_multiple_of(8);
        if record_len > writer.remaining() || record_len > RECORD_MAX {
            failure = Some(Errno::EINVAL.into());
            return false;
        }
        let mut record = [0; RECORD_MAX];
        record[..8].copy_from_slice(&entry.ino.to_le_bytes());
        record[8..16].copy_from_slice(&entry.next.to_le_bytes());
        record[16..18].copy_from_slice(&(record_len as u16).to_le_bytes());
        fill(&mut record[..record_len], &entry);
        if let Err(error) = writer.write_all(&record[..record_len]) {
            failure = Some(error.into());
            return false;
        }
        written += record_len;
        true
    })?;
    match failure {
        Some(error) if written == 0 => Err(error),
        _ => Ok(written),
    }
}
