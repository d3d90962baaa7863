//! [`EntryPath`]: a path of a tar entry that has been judged. It is relative, and has no `.` or `..` in it.

use std::fmt;

use super::PATH_LIMIT;
use crate::error::LayerError;

/// The most of a path that is shown in an error line, in characters.
const SHOWN: usize = 200;

/// Components from the layer's root down; empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPath {
    components: Vec<Vec<u8>>,
}

impl EntryPath {
    /// Judges a path as it stands in the tar. A leading `/` means the layer's root, as it does for every unpacker.
    ///
    /// # Errors
    ///
    /// [`LayerError::Escape`] for any `..`, even one that stays inside: no tool that writes layers emits it.
    pub fn parse(path: &[u8]) -> Result<Self, LayerError> {
        if path.len() > PATH_LIMIT {
            return Err(LayerError::TooLong(shown(path)));
        }
        let mut components = Vec::new();
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(LayerError::Escape(shown(path))),
                component => components.push(component.to_vec()),
            }
        }
        Ok(Self { components })
    }

    /// The directory's components and the last name. None for the root itself.
    pub fn split(&self) -> Option<(&[Vec<u8>], &[u8])> {
        self.components.split_last().map(|(name, parent)| (parent, name.as_slice()))
    }

    pub fn components(&self) -> &[Vec<u8>] {
        &self.components
    }

    /// The path of these components.
    pub fn of(components: &[Vec<u8>]) -> Self {
        Self { components: components.to_vec() }
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.components.join(&b'/')))
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_dot_is_refused_wherever_it_stands() {
        for path in ["..", "../x", "a/../b", "a/..", "/../etc/passwd"] {
            assert!(matches!(EntryPath::parse(path.as_bytes()), Err(LayerError::Escape(_))), "{path}");
        }
        for path in ["/etc/passwd", "./etc//passwd", "etc/./passwd/"] {
            assert_eq!(EntryPath::parse(path.as_bytes()).unwrap().to_string(), "etc/passwd");
        }
        assert_eq!(EntryPath::parse(b"./").unwrap(), EntryPath::default());
        assert!(matches!(EntryPath::parse(&[b'a'; PATH_LIMIT + 1]), Err(LayerError::TooLong(_))));
    }
}
