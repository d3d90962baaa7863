//! A layer: the entries of a tar, in the order in which they are added
//! (<https://github.com/opencontainers/image-spec/blob/main/layer.md>).

use tar::{Builder, EntryType, Header};

/// Stands in every time stamp.
const TIME: u64 = 1_700_000_000;

/// A tar being written. Owners and times are the same everywhere, so equal entries give equal bytes. Adding cannot fail: the
/// bytes go to memory, and names are the tests' own.
pub struct Layer {
    tar: Builder<Vec<u8>>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Layer").finish_non_exhaustive()
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// A layer without entries.
    #[must_use]
    pub fn new() -> Self {
        Self { tar: Builder::new(Vec::new()) }
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, name: &str, mode: u32, bytes: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, mode, "", bytes)
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, name: &str, mode: u32) -> Self {
        self.entry(name, EntryType::Directory, mode, "", &[])
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, 0o777, target, &[])
    }

    /// Adds another name of a file.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, 0o644, target, &[])
    }

    /// Hides `name` of the layers below.
    #[must_use]
    pub fn whiteout(self, name: &str) -> Self {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let separator = if folder.is_empty() { "" } else { "/" };
        self.file(&format!("{folder}{separator}.wh.{file}"), 0o644, &[])
    }

    /// Hides everything that the layers below have in a directory.
    #[must_use]
    pub fn opaque(self, folder: &str) -> Self {
        self.file(&format!("{folder}/.wh..wh..opq"), 0o644, &[])
    }

    /// Adds an entry of any kind. The name is written as it is, `..` included; more than 100 bytes take a GNU long name.
    #[must_use]
    pub fn entry(mut self, name: &str, kind: EntryType, mode: u32, target: &str, bytes: &[u8]) -> Self {
        if name.len() > 100 {
            let long = [name.as_bytes(), b"\0"].concat();
            self = self.append("././@LongLink", EntryType::GNULongName, 0o644, "", &long);
        }
        let cut = name.get(..name.len().min(100)).unwrap_or(name).to_owned();
        self.append(&cut, kind, mode, target, bytes)
    }

    fn append(mut self, name: &str, kind: EntryType, mode: u32, target: &str, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        // By hand: the crate's own setters refuse what the negative tests need.
        if let Some(gnu) = header.as_gnu_mut() {
            gnu.name[..name.len()].copy_from_slice(name.as_bytes());
            gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(TIME);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.tar.append(&header, bytes).expect("writing to memory succeeds");
        self
    }

    /// The finished tar.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().expect("writing to memory succeeds")
    }
}
