//! The 512-byte header block: fields by offset, numbers in octal or base 256, the checksum.

use super::{BLOCK, Error};

/// One header block whose checksum has matched.
pub struct Header<'a> {
    block: &'a [u8; BLOCK],
}

impl<'a> Header<'a> {
    /// Checks the sum. `at` is the block's place in the archive, for the error line.
    pub fn parse(block: &'a [u8; BLOCK], at: u64) -> Result<Self, Error> {
        let header = Self { block };
        let stated = number(header.field(148, 8), "checksum")?;
        // The sum is of unsigned bytes with the field itself as spaces; some old writers summed signed bytes.
        let mut unsigned: u64 = 8 * u64::from(b' ');
        let mut signed: i64 = 8 * i64::from(b' ');
        for (index, &byte) in block.iter().enumerate() {
            if !(148..156).contains(&index) {
                unsigned += u64::from(byte);
                signed += i64::from(byte.cast_signed());
            }
        }
        if stated == unsigned || i64::try_from(stated) == Ok(signed) {
            Ok(header)
        } else {
            Err(Error::Checksum(at))
        }
    }

    fn field(&self, offset: usize, length: usize) -> &'a [u8] {
        self.block.get(offset..offset + length).unwrap_or_default()
    }

    pub fn type_flag(&self) -> u8 {
        self.block[156]
    }

    /// The path: with the prefix in POSIX archives; GNU ones use those bytes for other things.
    pub fn path(&self) -> Vec<u8> {
        let name = text(self.field(0, 100));
        let prefix = text(self.field(345, 155));
        if self.field(257, 6) == b"ustar\0" && !prefix.is_empty() {
            [prefix, b"/", name].concat()
        } else {
            name.to_vec()
        }
    }

    pub fn link(&self) -> Vec<u8> {
        text(self.field(157, 100)).to_vec()
    }

    pub fn mode(&self) -> Result<u32, Error> {
        Ok(u32::try_from(number(self.field(100, 8), "mode")? & 0o7777).unwrap_or_default())
    }

    pub fn uid(&self) -> Result<u32, Error> {
        small(self.field(108, 8), "uid")
    }

    pub fn gid(&self) -> Result<u32, Error> {
        small(self.field(116, 8), "gid")
    }

    pub fn size(&self) -> Result<u64, Error> {
        number(self.field(124, 12), "size")
    }

    /// Seconds since 1970; base 256 allows negative ones.
    pub fn modified(&self) -> Result<i64, Error> {
        let field = self.field(136, 12);
        match field.first() {
            Some(0xff) => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.field(140, 8));
                Ok(i64::from_be_bytes(bytes))
            }
            _ => i64::try_from(number(field, "mtime")?).map_err(|_| Error::Number("mtime")),
        }
    }

    pub fn device(&self) -> Result<(u32, u32), Error> {
        Ok((small(self.field(329, 8), "devmajor")?, small(self.field(337, 8), "devminor")?))
    }

    /// The four pieces of an old GNU sparse header, whether extension blocks follow, and the file's full size.
    pub fn old_sparse(&self) -> Result<(&'a [u8], bool, u64), Error> {
        Ok((self.field(386, 4 * 24), self.block[482] != 0, number(self.field(483, 12), "realsize")?))
    }
}

/// A field's bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn small(field: &[u8], name: &'static str) -> Result<u32, Error> {
    u32::try_from(number(field, name)?).map_err(|_| Error::Number(name))
}

/// A number: octal text padded with spaces and NULs, or base 256 when the top bit of the first byte is set. An empty
/// field is 0.
pub fn number(field: &[u8], name: &'static str) -> Result<u64, Error> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        return rest
            .iter()
            .try_fold(u64::from(first & 0x7f), |value, &byte| {
                value.checked_mul(256)?.checked_add(u64::from(byte))
            })
            .ok_or(Error::Number(name));
    }
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    field
        .iter()
        .skip_while(|byte| is_padding(byte))
        .take_while(|byte| !is_padding(byte))
        .try_fold(0_u64, |value, &byte| match byte {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
            _ => None,
        })
        .ok_or(Error::Number(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0", "x").unwrap(), 0o644);
        assert_eq!(number(b" 644 \0\0\0", "x").unwrap(), 0o644);
        assert_eq!(number(b"\0\0\0\0", "x").unwrap(), 0);
        assert_eq!(number(&[0x80, 0, 1, 0], "x").unwrap(), 256);
        assert!(number(b"12x", "x").is_err());
        assert!(number(&[0xff; 12], "x").is_err());
    }
}
