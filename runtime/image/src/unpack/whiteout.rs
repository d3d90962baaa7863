//! Deletions: how a layer's tar marks them and how overlayfs does.
//!
//! In the tar (image-spec `layer.md`): an empty file `.wh.NAME` deletes NAME below, `.wh..wh..opq` all of its directory. For
//! overlayfs: a character device 0:0 called NAME, and the directory attribute `trusted.overlay.opaque`.

use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

const OPAQUE: &str = "trusted.overlay.opaque";

/// What a name in a layer's tar means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// An ordinary entry.
    Entry,
    /// The directory hides all that is below it.
    Opaque,
    /// This name is deleted.
    Deleted(&'a [u8]),
    /// Bookkeeping of aufs, from which the format comes; carries nothing.
    Nothing,
}

/// Reads the meaning of the last component of a path.
pub fn meaning(name: &[u8]) -> Meaning<'_> {
    match name.strip_prefix(b".wh.") {
        None => Meaning::Entry,
        Some(b".wh..opq") => Meaning::Opaque,
        Some(rest) if rest.starts_with(b".wh.") => Meaning::Nothing,
        Some(rest) => Meaning::Deleted(rest),
    }
}

/// Makes `name` a whiteout. EEXIST when the layer has something of that name already.
pub fn create(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Whether this is the status of a whiteout.
pub fn is_whiteout(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0
}

/// Makes an open directory hide all that is below it.
pub fn set_opaque(directory: impl AsFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

/// Whether an open directory hides what is below it.
pub fn is_opaque(directory: impl AsFd) -> bool {
    let mut value = [0; 1];
    matches!(rustix::fs::fgetxattr(directory, OPAQUE, &mut value), Ok(1) if value == *b"y")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_meanings() {
        assert_eq!(meaning(b"file"), Meaning::Entry);
        assert_eq!(meaning(b".wh.file"), Meaning::Deleted(b"file"));
        assert_eq!(meaning(b".wh..wh..opq"), Meaning::Opaque);
        assert_eq!(meaning(b".wh..wh.plnk"), Meaning::Nothing);
        assert_eq!(meaning(b".wh..hidden"), Meaning::Deleted(b".hidden"));
    }
}
