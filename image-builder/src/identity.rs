//! Hashes and identifiers, all derived from contents: a random or clock-based one would make two builds differ.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The option by which the kernel learns what it was built into; a panic prints its value.
pub const IMAGE_HASH_OPTION: &str = "coffer.image";

/// Identifies kernel, initramfs and command line as 64 hexadecimal digits: SHA-256 over the three, each preceded by
/// its length as a 64-bit little-endian number.
///
/// It is computed here and carried on the command line, because a kernel cannot contain its own hash, and because
/// hashing several MiB with portable code at every boot would cost more than the boot itself.
#[must_use]
pub fn image_hash(kernel: &[u8], initramfs: &[u8], command_line: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [kernel, initramfs, command_line.as_bytes()] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// SHA-256 of a file as 64 hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The built-in command line with the image hash appended.
#[must_use]
pub fn command_line(built_in: &str, image_hash: &str) -> String {
    let separator = if built_in.is_empty() { "" } else { " " };
    format!("{built_in}{separator}{IMAGE_HASH_OPTION}={image_hash}")
}

/// A GUID for `purpose` that changes exactly when `contents` does: the first 128 bits of a SHA-256, marked as a custom
/// UUID (RFC 9562, version 8).
#[must_use]
pub fn guid(purpose: &str, contents: &[u8]) -> Uuid {
    Builder::from_custom_bytes(digest_prefix(purpose, contents)).into_uuid()
}

/// A FAT volume serial number for `contents`.
#[must_use]
pub fn volume_id(contents: &[u8]) -> u32 {
    let [a, b, c, d, ..] = digest_prefix("coffer volume", contents);
    u32::from_le_bytes([a, b, c, d])
}

fn digest_prefix(purpose: &str, contents: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(contents).finalize();
    let mut prefix = [0; 16];
    prefix.copy_from_slice(&digest[..16]);
    prefix
}

#[cfg(test)]
mod tests {
    use super::{command_line, guid, image_hash};

    #[test]
    fn image_hash_depends_on_where_parts_end() {
        assert_ne!(image_hash(b"ab", b"c", ""), image_hash(b"a", b"bc", ""));
    }

    #[test]
    fn guid_depends_on_purpose_and_contents_only() {
        assert_eq!(guid("disk", b"x"), guid("disk", b"x"));
        assert_ne!(guid("disk", b"x"), guid("partition", b"x"));
        assert_eq!(guid("disk", b"x").get_version_num(), 8);
    }

    #[test]
    fn hash_is_last_on_the_command_line() {
        assert_eq!(command_line("log=info", "00"), "log=info coffer.image=00");
        assert_eq!(command_line("", "00"), "coffer.image=00");
    }
}
