//! What of the loader's options may join the built-in command line.

/// The options that a loader supplied (UEFI LoadOptions, UTF-16), as ASCII characters, or nothing where they are not plain
/// text. Firmware's boot manager puts binary data (a GUID) there for entries that it made itself.
#[must_use]
pub fn loader_options(options: &[u8]) -> Option<impl Iterator<Item = u8> + Clone + '_> {
    let characters = options.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text = characters
        .take_while(|&character| character != 0)
        .map(|character| u8::try_from(character).unwrap_or(0));
    let is_plain =
        options.len().is_multiple_of(2) && text.clone().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (is_plain && text.clone().next().is_some()).then_some(text)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use super::loader_options;

    fn read(options: &[u8]) -> Option<String> {
        Some(String::from_utf8(loader_options(options)?.collect()).unwrap())
    }

    #[test]
    fn plain_text_is_taken_up_to_its_end() {
        let options: Vec<u8> = "a b=c\0rest".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&options).as_deref(), Some("a b=c"));
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn binary_data_is_refused() {
        assert_eq!(read(&[0x4a, 0xc1, 0x7e, 0x22]), None);
        assert_eq!(read(b"odd"), None);
        assert_eq!(read(&[b'a', 0, b'\n', 0]), None);
    }
}
