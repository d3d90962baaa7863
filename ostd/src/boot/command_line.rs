//! Words of the kernel's command line that ostd itself reads.

/// The value of the last `key=value` word.
pub(crate) fn value<'a>(command_line: &'a str, key: &str) -> Option<&'a str> {
    command_line.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// A number in decimal or, with `0x`, in hexadecimal.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// As much of `bytes` as is valid UTF-8.
pub(crate) fn valid_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_counts() {
        assert_eq!(value("a=1 ab=2 a=3 quiet", "a"), Some("3"));
        assert_eq!(value("a=1", "b"), None);
        assert_eq!(value("quiet", "quiet"), None);
    }

    #[test]
    fn numbers_come_in_two_bases() {
        assert_eq!(number("0xf4"), Some(0xf4));
        assert_eq!(number("244"), Some(244));
        assert_eq!(number("-1"), None);
    }

    #[test]
    fn bad_utf8_is_cut_off() {
        assert_eq!(valid_prefix(b"ok \xff rest"), "ok ");
    }
}
