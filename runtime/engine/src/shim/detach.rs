//! The keys that end a connection to a container but not the container (`--detach-keys`, ctrl-p ctrl-q unless told otherwise).

use crate::Error;

/// docker's default: ctrl-p ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Reads `ctrl-p,ctrl-q` and the like.
///
/// # Errors
///
/// [`Error::Invalid`] for what is no key.
pub fn parse(keys: Option<&str>) -> Result<Vec<u8>, Error> {
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(DEFAULT.to_vec()) };
    let invalid = |key: &str| Error::Invalid(format!("Unknown character: '{key}'"));
    keys.split(',')
        .map(|key| match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
            (_, Some([letter @ b'a'..=b'z'])) => Ok(letter - b'a' + 1),
            (_, Some([symbol @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')])) => Ok(symbol - b'@'),
            ([byte], None) => Ok(*byte),
            _ => Err(invalid(key)),
        })
        .collect()
}

/// Looks for the keys in what a client types. Bytes that may be the beginning of the keys are held back until it is clear.
#[derive(Debug, Default)]
pub struct Detector {
    keys: Vec<u8>,
    seen: usize,
}

impl Detector {
    /// For these keys.
    #[must_use]
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, seen: 0 }
    }

    /// What of `bytes` is input, and whether the keys came.
    pub fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (bytes.to_vec(), false);
        }
        let mut input = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.keys.get(self.seen) == Some(&byte) {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return (input, true);
                }
                continue;
            }
            input.extend(self.keys.iter().take(self.seen));
            self.seen = usize::from(self.keys.first() == Some(&byte));
            if self.seen == 0 {
                input.push(byte);
            } else if self.keys.len() == 1 {
                return (input, true);
            }
        }
        (input, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_control_characters() {
        assert_eq!(parse(None).unwrap(), [16, 17]);
        assert_eq!(parse(Some("ctrl-a,x,ctrl-@")).unwrap(), [1, b'x', 0]);
        assert!(parse(Some("ctrl-A")).is_err());
        assert!(parse(Some("ab")).is_err());
    }

    #[test]
    fn the_keys_are_found_across_reads_and_everything_else_passes() {
        let mut detector = Detector::new(vec![16, 17]);
        assert_eq!(detector.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(detector.filter(b"c\x10\x10"), (b"\x10c\x10".to_vec(), false));
        assert_eq!(detector.filter(b"\x11x"), (Vec::new(), true));
    }
}
