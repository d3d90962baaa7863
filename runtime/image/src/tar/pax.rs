//! Pax extended headers: `length key=value\n` records that override or add to the header that follows.

use super::sparse::{self, Piece};
use super::{Entry, Error, Time};

/// What the extension headers before an entry said.
#[derive(Debug, Default)]
pub struct Extensions {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<Time>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

/// The `GNU.sparse.*` records: formats 0.0 and 0.1 have the map here, 1.0 has it before the data.
#[derive(Debug, Default)]
pub struct Sparse {
    pub is_version_1: bool,
    pub real_size: Option<u64>,
    pub pieces: Vec<Piece>,
    name: Option<Vec<u8>>,
    pending_offset: Option<u64>,
}

impl Extensions {
    /// Takes in the records of one pax header.
    pub fn parse(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let space = bytes.iter().position(|&byte| byte == b' ').ok_or(Error::Extension)?;
            let length =
                usize::try_from(decimal(bytes.get(..space).unwrap_or_default())?).unwrap_or(usize::MAX);
            let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or(Error::Extension)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or(Error::Extension)?;
            let (key, value) = record.split_at(equals);
            self.record(key, value.get(1..).unwrap_or_default())?;
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let sparse = &mut self.sparse;
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(id(value)?),
            b"gid" => self.gid = Some(id(value)?),
            b"mtime" => self.modified = Some(time(value)?),
            b"GNU.sparse.major" => sparse.is_version_1 = value == b"1",
            b"GNU.sparse.name" => sparse.name = Some(value.to_vec()),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => sparse.real_size = Some(decimal(value)?),
            b"GNU.sparse.offset" => sparse.pending_offset = Some(decimal(value)?),
            b"GNU.sparse.numbytes" => {
                let offset = sparse.pending_offset.take().ok_or(Error::Sparse)?;
                sparse::push(&mut sparse.pieces, offset, decimal(value)?)?;
            }
            b"GNU.sparse.map" => {
                let numbers: Vec<u64> =
                    value.split(|&byte| byte == b',').map(decimal).collect::<Result<_, _>>()?;
                let (pairs, rest) = numbers.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(Error::Sparse);
                }
                for &[offset, length] in pairs {
                    sparse::push(&mut sparse.pieces, offset, length)?;
                }
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    /// Lays the records over what the header itself said.
    pub fn apply(&mut self, entry: &mut Entry) {
        if let Some(path) = self.sparse.name.take().or(self.path.take()) {
            entry.path = path;
        }
        if let Some(link) = self.link.take() {
            entry.link = link;
        }
        entry.uid = self.uid.unwrap_or(entry.uid);
        entry.gid = self.gid.unwrap_or(entry.gid);
        entry.modified = self.modified.unwrap_or(entry.modified);
        entry.attributes = std::mem::take(&mut self.attributes);
    }
}

/// A decimal number without sign.
pub fn decimal(text: &[u8]) -> Result<u64, Error> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Error::Extension);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Error::Extension)
}

fn id(text: &[u8]) -> Result<u32, Error> {
    u32::try_from(decimal(text)?).map_err(|_| Error::Extension)
}

/// `[-]seconds[.fraction]`; digits beyond nanoseconds are cut off.
fn time(text: &[u8]) -> Result<Time, Error> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(decimal(parts.next().unwrap_or_default())?).map_err(|_| Error::Extension)?;
    let mut nanoseconds = 0;
    let fraction = parts.next().unwrap_or_default();
    for place in 0..9 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return Err(Error::Extension);
        }
        nanoseconds = nanoseconds * 10 + u32::from(digit - b'0');
    }
    Ok(match (is_negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        // Nanoseconds count forward from the second before.
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_signs() {
        assert_eq!(time(b"12.5").unwrap(), Time { seconds: 12, nanoseconds: 500_000_000 });
        assert_eq!(time(b"-1.25").unwrap(), Time { seconds: -2, nanoseconds: 750_000_000 });
        assert!(time(b"1.x").is_err());
    }

    #[test]
    fn record_lengths_are_checked() {
        for text in ["99 path=a\n", "3 a", "x path=a\n", "10 patha\n", "0 path=a\n", "1 ", "2 path=a\n"] {
            assert!(Extensions::default().parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let mut extensions = Extensions::default();
        extensions.parse(b"10 path=a\n31 SCHILY.xattr.user.x=1\n2=3\n4\n").unwrap();
        assert_eq!(extensions.path.as_deref(), Some(&b"a"[..]));
        assert_eq!(extensions.attributes, [(b"user.x".to_vec(), b"1\n2=3\n4".to_vec())]);
    }
}
