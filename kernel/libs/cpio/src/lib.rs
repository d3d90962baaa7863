//! Reads cpio archives in the `newc` form, as initramfs images are (Linux: Documentation/driver-api/early-userspace/buffer-format).
//!
//! Everything in the archive is a claim: each length is checked against what is there before it is used, and nothing is copied.
//! Key type: [`Entries`], an iterator that ends after the first error.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

/// Bytes of a header: a magic and thirteen numbers of eight hexadecimal digits.
const HEADER_LEN: usize = 110;
/// Longest name with its NUL (PATH_MAX).
const NAME_MAX: usize = 4096;
/// Name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, without the NUL; as given, not cleaned.
    pub name: &'a [u8],
    /// Inode number: entries that share it (and `links` above 1) are names of one file.
    pub ino: u32,
    /// `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub links: u32,
    /// Modification time, seconds since the epoch.
    pub modified: u32,
    /// Device number of device nodes: major, minor.
    pub device: (u32, u32),
    /// Contents of a file, target of a symbolic link.
    pub data: &'a [u8],
}

/// Why an archive was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A header does not start with `070701` or `070702`.
    BadMagic,
    /// A number is not eight hexadecimal digits.
    BadNumber,
    /// A name is empty, too long, or does not end with its only NUL.
    BadName,
    /// The archive ends within a header, a name or data.
    Truncated,
    /// The checksum of a `070702` entry is not its data's.
    BadChecksum,
}

impl Error {
    /// One line for the log.
    pub fn message(self) -> &'static str {
        match self {
            Self::BadMagic => "not a newc header",
            Self::BadNumber => "a header field is not a hexadecimal number",
            Self::BadName => "a name is empty, too long or not terminated",
            Self::Truncated => "the archive ends within an entry",
            Self::BadChecksum => "an entry's checksum is wrong",
        }
    }
}

/// The entries of one archive or of several, one after the other with any number of NUL bytes in between.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    archive: &'a [u8],
    position: usize,
    has_failed: bool,
}

impl<'a> Entries<'a> {
    /// Over the bytes of an image.
    pub fn new(archive: &'a [u8]) -> Self {
        Self { archive, position: 0, has_failed: false }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.position.checked_add(len).ok_or(Error::Truncated)?;
        let bytes = self.archive.get(self.position..end).ok_or(Error::Truncated)?;
        self.position = end;
        Ok(bytes)
    }

    /// Moves on to the next multiple of four; an archive may end in the middle of that padding.
    fn align(&mut self) {
        self.position = self.position.next_multiple_of(4).min(self.archive.len());
    }

    fn read(&mut self) -> Result<Entry<'a>, Error> {
        let header = self.take(HEADER_LEN)?;
        let has_checksum = match &header[..6] {
            b"070701" => false,
            b"070702" => true,
            _ => return Err(Error::BadMagic),
        };
        let mut fields = [0u32; 13];
        for (field, digits) in fields.iter_mut().zip(header[6..].chunks_exact(8)) {
            *field = hexadecimal(digits)?;
        }
        let [ino, mode, uid, gid, links, modified, len, _, _, major, minor, name_len, checksum] = fields;

        let name_len = name_len as usize;
        if !(2..=NAME_MAX).contains(&name_len) {
            return Err(Error::BadName);
        }
        let name = match self.take(name_len)?.split_last() {
            Some((0, name)) if !name.contains(&0) => name,
            _ => return Err(Error::BadName),
        };
        self.align();
        let data = self.take(len as usize)?;
        self.align();
        if has_checksum && data.iter().fold(0u32, |sum, &byte| sum.wrapping_add(u32::from(byte))) != checksum
        {
            return Err(Error::BadChecksum);
        }
        Ok(Entry { name, ino, mode, uid, gid, links, modified, device: (major, minor), data })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_failed {
            let rest = self.archive.get(self.position..).unwrap_or_default();
            let padding = rest.iter().position(|&byte| byte != 0)?;
            self.position += padding;
            match self.read() {
                Ok(entry) if entry.name == TRAILER => {}
                Ok(entry) => return Some(Ok(entry)),
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

fn hexadecimal(digits: &[u8]) -> Result<u32, Error> {
    let mut value = 0;
    for &digit in digits {
        let digit = char::from(digit).to_digit(16).ok_or(Error::BadNumber)?;
        value = value << 4 | digit;
    }
    Ok(value)
}
