//! Layers, well-meaning and hostile, unpacked for real. They need root for owners and devices.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tar::EntryType;

use crate::Error;
use crate::error::LayerError;
use crate::testing::{Archive, Layout, is_root, unpack_all};

fn unpack_layers(layers: Vec<Archive>) -> (tempfile::TempDir, Result<Vec<std::path::PathBuf>, Error>) {
    let folder = tempfile::tempdir().unwrap();
    let layers: Vec<Vec<u8>> = layers.into_iter().map(Archive::finish).collect();
    let result = unpack_all(&Layout::of_layers(&layers), folder.path());
    (folder, result)
}

fn layer_error(layers: Vec<Archive>) -> LayerError {
    let count = layers.len();
    let (folder, result) = unpack_layers(layers);
    assert!(!folder.path().join((count - 1).to_string()).exists(), "the layer was not cleaned up");
    match result {
        Err(Error::Layer { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_entry_is_made() {
    if !is_root() {
        return;
    }
    let layer = Archive::default()
        .folder("etc/")
        .entry(EntryType::Regular, "etc/su", "", b"text", |header| {
            header.set_mode(0o4755);
            header.set_uid(5);
            header.set_gid(6);
        })
        .symlink("link", "/etc/su")
        .hard_link("etc/same", "./etc/su")
        .entry(EntryType::Char, "null", "", b"", |header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
            header.set_mode(0o666);
        })
        .entry(EntryType::Fifo, "fifo", "", b"", |_| {})
        .pax(&[
            ("path", &"long/".repeat(60)),
            ("mtime", "1234567.5"),
            ("SCHILY.xattr.trusted.overlay.opaque", "y"),
        ])
        .folder("x/")
        .file("implied/deep/file", "x");
    let (_folder, result) = unpack_layers(vec![layer]);
    let root = &result.unwrap()[0];
    let su = fs::metadata(root.join("etc/su")).unwrap();
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.mtime(), su.nlink()),
        (0o4755, 5, 6, 1_000_000, 2)
    );
    assert_eq!(fs::read_link(root.join("link")).unwrap().to_str(), Some("/etc/su"));
    let null = fs::metadata(root.join("null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!((null.rdev(), null.mode() & 0o777), (rustix::fs::makedev(1, 3), 0o666));
    assert!(fs::metadata(root.join("fifo")).unwrap().file_type().is_fifo());
    let long = root.join("long/".repeat(60));
    assert_eq!(
        (fs::metadata(&long).unwrap().mtime(), fs::metadata(&long).unwrap().mtime_nsec()),
        (1_234_567, 500_000_000)
    );
    assert!(
        !super::whiteout::is_opaque(fs::File::open(&long).unwrap()),
        "an attribute of overlayfs was forged"
    );
    assert_eq!(fs::metadata(root.join("etc")).unwrap().mtime(), 1_000_000);
    assert_eq!(fs::read(root.join("implied/deep/file")).unwrap(), b"x");
}

#[test]
fn nothing_leaves_the_layer() {
    if !is_root() {
        return;
    }
    let escape = |archive: Archive| layer_error(vec![archive]).to_string();
    assert_eq!(escape(Archive::default().file("../evil", "x")), "path `../evil` leaves the layer");
    assert_eq!(escape(Archive::default().file("a/../../evil", "x")), "path `a/../../evil` leaves the layer");
    assert_eq!(
        escape(Archive::default().folder("d/").file("d/.wh...", "")),
        "path `d/.wh...` leaves the layer"
    );

    let through =
        |target: &str| layer_error(vec![Archive::default().symlink("a", target).file("a/evil", "x")]);
    for target in ["/tmp", "..", ".", "/", "b"] {
        assert!(matches!(through(target), LayerError::NotADirectory(_)), "{target}");
    }
    let whiteout = Archive::default().symlink("a", "/tmp").file("a/.wh.evil", "");
    assert!(matches!(layer_error(vec![whiteout]), LayerError::NotADirectory(_)));
    let opaque = Archive::default().symlink("a", "/tmp").file("a/.wh..wh..opq", "");
    assert!(matches!(layer_error(vec![opaque]), LayerError::NotADirectory(_)));

    let link =
        |target: &str| layer_error(vec![Archive::default().symlink("a", "/etc").hard_link("b", target)]);
    assert!(matches!(link("../../etc/passwd"), LayerError::Escape(_)));
    assert!(matches!(link("a/passwd"), LayerError::NotADirectory(_)));
    assert!(matches!(link("/etc/passwd"), LayerError::LinkTarget { .. }));
    // A later layer must not go through a link of an earlier one, either.
    let layers = vec![Archive::default().symlink("lib", "/etc"), Archive::default().file("lib/evil", "x")];
    assert!(matches!(layer_error(layers), LayerError::NotADirectory(_)));
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    if !is_root() {
        return;
    }
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "untouched").unwrap();
    let target = outside.path().to_str().unwrap();
    let layer = Archive::default().symlink("f", target).file("f", "new").symlink("d", "/tmp").folder("d/");
    let (_folder, result) =
        unpack_layers(vec![layer.folder("full/sub/").file("full/sub/x", "").file("full", "file")]);
    let root = &result.unwrap()[0];
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "untouched");
    assert_eq!(fs::read(root.join("f")).unwrap(), b"new");
    assert!(fs::symlink_metadata(root.join("d")).unwrap().is_dir());
    assert_eq!(fs::read(root.join("full")).unwrap(), b"file");
}

#[test]
fn deletions_become_what_overlayfs_understands() {
    if !is_root() {
        return;
    }
    let base =
        Archive::default().folder("a/").file("a/x", "1").folder("b/").file("b/y", "2").file("gone", "3");
    let top = Archive::default()
        .file(".wh.gone", "")
        .file("a/.wh..wh..opq", "")
        .file(".wh.b", "")
        .folder("b/")
        .file("b/new", "4")
        .file("kept", "5")
        .file(".wh.kept", "")
        .file(".wh..wh.plnk", "");
    let (folder, result) = unpack_layers(vec![base, top]);
    let layers = result.unwrap();
    assert!(fs::symlink_metadata(layers[0].join("gone")).unwrap().file_type().is_char_device());

    let snapshot = crate::Snapshot::mount(&folder.path().join("snapshot"), &layers).unwrap();
    let names = |path: &str| {
        let mut names: Vec<_> = fs::read_dir(snapshot.root().join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let seen = (names(""), names("a"), names("b"));
    snapshot.remove().unwrap();
    assert_eq!(
        seen,
        (vec!["a".into(), "b".into(), "kept".into()], Vec::<String>::new(), vec!["new".to_owned()])
    );
    assert!(!folder.path().join("snapshot").exists());
}

#[test]
fn a_layer_sees_those_below() {
    if !is_root() {
        return;
    }
    let base = Archive::default().entry(EntryType::Directory, "home/", "", b"", |header| {
        header.set_mode(0o1777);
        header.set_uid(9);
    });
    let base = base.file("home/file", "shared").file("deleted", "x");
    let middle = Archive::default().file(".wh.deleted", "");
    let top = Archive::default().file("home/other", "x").hard_link("copy", "home/file");
    let (_folder, result) = unpack_layers(vec![base, middle, top]);
    let top = &result.unwrap()[0];
    let home = fs::metadata(top.join("home")).unwrap();
    assert_eq!((home.mode() & 0o7777, home.uid()), (0o1777, 9));
    assert_eq!(fs::read(top.join("copy")).unwrap(), b"shared");

    let base = Archive::default().file("deleted", "x");
    let (middle, top) =
        (Archive::default().file(".wh.deleted", ""), Archive::default().hard_link("copy", "deleted"));
    assert!(matches!(layer_error(vec![base, middle, top]), LayerError::LinkTarget { .. }));
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    if !is_root() {
        return;
    }
    let layer = Archive::default().file("a", "text").finish();
    let mut layout = Layout::of_layers(std::slice::from_ref(&layer));
    let name = format!("blobs/sha256/{}", crate::digest::sha256(&layer).digest());
    let folder = tempfile::tempdir().unwrap();

    layout.pieces.get_mut(&name).unwrap()[512] ^= 1;
    let error = unpack_all(&layout, folder.path()).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    layout.pieces.get_mut(&name).unwrap().truncate(600);
    assert!(matches!(unpack_all(&layout, folder.path()), Err(Error::Size { .. })));
    layout.pieces.remove(&name);
    assert!(matches!(unpack_all(&layout, folder.path()), Err(Error::Missing(_))));
}

#[test]
fn a_layer_that_ends_too_soon_is_refused() {
    if !is_root() {
        return;
    }
    let mut layer = Archive::default().file("a", &"text".repeat(1000)).finish();
    layer.truncate(2000);
    let folder = tempfile::tempdir().unwrap();
    let error = unpack_all(&Layout::of_layers(&[layer]), folder.path()).unwrap_err();
    assert_eq!(error.to_string().rsplit(": ").next(), Some("tar ends in the middle of an entry"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
