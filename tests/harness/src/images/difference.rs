//! A layer: what a root file system has that the one below does not, found by comparing the tars of both.
//!
//! Both are mmdebstrap's, which writes entries sorted, with the same options and with clamped times, so an entry is the same if all its
//! bytes are: extended header, header and content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::digest;

/// What all lengths in a tar are multiples of.
const BLOCK: u64 = 512;

/// Two empty blocks end a tar.
const END: [u8; 1024] = [0; 1024];

/// An entry of an archive: where its bytes are, and what they are.
#[derive(Debug)]
struct Entry {
    bytes: Range<u64>,
    checksum: [u8; 32],
    /// What a hard link stands for.
    original: Option<PathBuf>,
}

/// Writes to `output` the entries of the tar `whole` that the tar `below` does not have, the folders that they are in, and a whiteout
/// for each name that is gone.
pub fn write(below: &Path, whole: &Path, output: &Path) -> io::Result<()> {
    let mut before = list(below)?;
    let after = list(whole)?;
    let mut wanted = BTreeSet::new();
    for (path, entry) in &after {
        if before.get(path).is_none_or(|old| old.checksum != entry.checksum) {
            wanted.extend(path.ancestors().filter(|folder| after.contains_key(*folder)));
            // A link must find what it links to in its own layer.
            wanted.extend(entry.original.as_deref());
        }
    }
    before.retain(|path, _| !after.contains_key(path));

    let mut source = File::open(whole)?;
    let mut layer = io::BufWriter::new(File::create(output)?);
    for path in before.keys().filter(|path| path.parent().is_none_or(|folder| !before.contains_key(folder))) {
        layer.write_all(&whiteout(path)?)?;
    }
    // Originals come before links here, as they do in the whole.
    let mut ordered: Vec<&Entry> = wanted.iter().filter_map(|path| after.get(*path)).collect();
    ordered.sort_by_key(|entry| entry.bytes.start);
    for entry in ordered {
        source.seek(SeekFrom::Start(entry.bytes.start))?;
        io::copy(&mut (&mut source).take(entry.bytes.end - entry.bytes.start), &mut layer)?;
    }
    layer.write_all(&END)?;
    layer.flush()
}

/// The entries by their normal names.
fn list(path: &Path) -> io::Result<BTreeMap<PathBuf, Entry>> {
    let mut bytes = File::open(path)?;
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut entries = BTreeMap::new();
    let mut start = 0;
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        // From the end of the entry before, so with the extended headers.
        let end = entry.raw_file_position() + entry.size().next_multiple_of(BLOCK);
        let original = match entry.header().entry_type() {
            EntryType::Link => entry.link_name()?.map(|name| normal(&name)),
            _ => None,
        };
        let (checksum, _) = digest((&mut bytes).take(end - start))?;
        entries.insert(normal(&entry.path()?), Entry { bytes: start..end, checksum, original });
        start = end;
    }
    Ok(entries)
}

/// Without a leading `./`.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect()
}

/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
fn whiteout(path: &Path) -> io::Result<Vec<u8>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut header = Header::new_ustar();
    header.set_path(path.with_file_name(format!(".wh.{name}")))?;
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use tar::{Builder, EntryType, Header};

    use super::write;

    /// A tar of names (folders end with a slash) and contents; what follows an arrow is the target of a hard link.
    fn archive(path: &Path, entries: &[(&str, &str)]) {
        let mut tar = Builder::new(File::create(path).unwrap());
        for (name, content) in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(0);
            if let Some(target) = content.strip_prefix("-> ") {
                header.set_entry_type(EntryType::Link);
                tar.append_link(&mut header, name, target).unwrap();
                continue;
            }
            header.set_entry_type(if name.ends_with('/') {
                EntryType::Directory
            } else {
                EntryType::Regular
            });
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }

    #[test]
    fn a_layer_has_what_is_new_its_folders_and_whiteouts() {
        let folder = tempfile::tempdir().unwrap();
        let [below, whole, layer] = ["below", "whole", "layer"].map(|name| folder.path().join(name));
        let long = format!("etc/{}", "n".repeat(200));
        archive(
            &below,
            &[
                ("bin/", ""),
                ("bin/a", "same"),
                ("etc/", ""),
                ("etc/b", "old"),
                ("gone/", ""),
                ("gone/file", "x"),
                ("usr/", ""),
                ("usr/original", "same"),
            ],
        );
        archive(
            &whole,
            &[
                ("bin/", ""),
                ("bin/a", "same"),
                ("etc/", ""),
                ("etc/b", "new"),
                (&long, "long"),
                ("usr/", ""),
                ("usr/original", "same"),
                ("usr/second", "-> usr/original"),
            ],
        );
        write(&below, &whole, &layer).unwrap();
        let bytes = fs::read(&layer).unwrap();
        let mut read = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = read
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, [".wh.gone", "etc/", "etc/b", &long, "usr/", "usr/original", "usr/second"]);
    }
}
