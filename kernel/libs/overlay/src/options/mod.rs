//! The data string of mount(2): `lowerdir=a:b,upperdir=c,workdir=d`. A backslash takes the next byte as it is, so that paths may have
//! colons and commas.

use alloc::vec::Vec;
use core::fmt;

#[cfg(test)]
mod tests;

/// The most lower directories, as Linux has it.
const LOWER_MAX: usize = 500;

/// Parsed options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Lower directories, the top one first. Not empty.
    pub lower: Vec<Vec<u8>>,
    /// The directory for changes; without it the overlay is read-only.
    pub upper: Option<Vec<u8>>,
    /// Where changes are prepared. It is there if and only if `upper` is.
    pub work: Option<Vec<u8>>,
    /// `volatile`: nothing needs to reach a disk.
    pub is_volatile: bool,
}

/// Why options were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsError {
    /// No `lowerdir`, or an empty path in it.
    MissingLower,
    /// More than 500 lower directories.
    TooManyLower,
    /// `upperdir` without `workdir`.
    MissingWork,
    /// One lower directory and nothing above it: there is nothing to overlay.
    NothingToMerge,
    /// An option that is not known, or asks for something that there is not.
    Unknown,
}

impl Options {
    /// Reads the data string.
    ///
    /// # Errors
    /// See [`OptionsError`].
    pub fn parse(data: &[u8]) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        for option in split(data, b',').filter(|option| !option.is_empty()) {
            let (key, value) = match option.iter().position(|&byte| byte == b'=') {
                Some(at) => (&option[..at], &option[at + 1..]),
                None => (option, &[][..]),
            };
            match key {
                b"lowerdir" => options.lower = parse_lower(value)?,
                b"upperdir" => options.upper = Some(unescape(value)),
                b"workdir" => options.work = Some(unescape(value)),
                b"volatile" => options.is_volatile = true,
                // Inode numbers are always composed the way `xino=on` asks for; the other two name the only behaviour there is.
                b"xino" | b"default_permissions" | b"uuid" => {}
                b"index" | b"metacopy" | b"nfs_export" if value == b"off" => {}
                b"redirect_dir" if value == b"off" || value == b"nofollow" => {}
                _ => return Err(OptionsError::Unknown),
            }
        }
        options.check()
    }

    fn check(mut self) -> Result<Self, OptionsError> {
        if self.lower.is_empty() {
            return Err(OptionsError::MissingLower);
        }
        match (&self.upper, &self.work) {
            (Some(_), None) => return Err(OptionsError::MissingWork),
            (None, _) if self.lower.len() == 1 => return Err(OptionsError::NothingToMerge),
            // As Linux: useless, not wrong.
            (None, _) => self.work = None,
            _ => {}
        }
        Ok(self)
    }
}

fn parse_lower(value: &[u8]) -> Result<Vec<Vec<u8>>, OptionsError> {
    let lower: Vec<Vec<u8>> = split(value, b':').map(unescape).collect();
    if lower.iter().any(Vec::is_empty) {
        return Err(OptionsError::MissingLower);
    }
    if lower.len() > LOWER_MAX {
        return Err(OptionsError::TooManyLower);
    }
    Ok(lower)
}

/// Splits at each `separator` that no backslash precedes.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_escaped = false;
    text.split(move |&byte| {
        let is_end = byte == separator && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            byte => plain.push(byte),
        }
    }
    plain
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl OptionsError {
    /// What to tell a human.
    pub const fn text(self) -> &'static str {
        match self {
            Self::MissingLower => "overlay: lowerdir is missing or has an empty path",
            Self::TooManyLower => "overlay: more than 500 lower directories",
            Self::MissingWork => "overlay: upperdir needs workdir",
            Self::NothingToMerge => "overlay: two lower directories are needed without upperdir",
            Self::Unknown => "overlay: unknown mount option",
        }
    }
}

impl core::error::Error for OptionsError {}
