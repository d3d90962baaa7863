//! The store with real layers; it needs root for owners and overlayfs attributes.

use std::fs;
use std::io::Cursor;

use serde_json::json;
use tar::EntryType;
use tempfile::TempDir;

use super::{Remove, Removed, Store, StoreError};
use crate::Reference;
use crate::testing::{Archive, Layout, is_root};

/// An archive of one image called `name` with these layers.
fn archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let mut layout = Layout::default();
    let mut manifest = layout.image("amd64", layers);
    manifest["annotations"] = json!({"io.containerd.image.name": name});
    layout.index(&[manifest]);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut layout.archive(), &mut bytes).unwrap();
    bytes
}

fn layer(path: &str) -> Vec<u8> {
    Archive::default().folder("d/").file(path, "some data").symlink("d/link", "nowhere").finish()
}

fn open() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn load(store: &Store, bytes: &[u8]) -> Result<Vec<super::Loaded>, StoreError> {
    store.load(Cursor::new(bytes), &mut |_| true)
}

#[test]
fn a_load_that_nobody_wants_ends_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    let bytes = archive("a.example/x:1", &[layer("d/f")]);
    let before = counts(&folder);
    let abandoned = store.load(Cursor::new(&bytes), &mut |_| false).unwrap_err().to_string();
    assert!(abandoned.contains("the client has gone"), "{abandoned}");
    assert_eq!(counts(&folder), before);
    assert_eq!(load(&store, &bytes).unwrap().len(), 1);
}

/// How many files each folder of the store has.
fn counts(folder: &TempDir) -> [usize; 4] {
    ["layers", "frames", "documents", "ingest"]
        .map(|name| fs::read_dir(folder.path().join(name)).unwrap().count())
}

#[test]
fn what_was_loaded_is_found_by_name_and_id() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    let loaded = load(&store, &archive("a.example/x:1", &[layer("d/f")])).unwrap();
    let id = loaded[0].id.clone();
    for name in ["a.example/x:1", &id, &id[7..], &id[7..19], &id[..19]] {
        assert_eq!(store.find(name).unwrap().id.to_string(), id, "{name}");
    }
    for (name, line) in
        [("y", "No such image: y:latest"), ("a.example/x", "No such image: a.example/x:latest")]
    {
        assert_eq!(store.find(name).unwrap_err().to_string(), line);
    }
    assert_eq!(counts(&folder), [1, 1, 1, 0]);
    assert_eq!(store.find(&id).unwrap().size(), 9);
    // A new process finds the same.
    assert_eq!(Store::open(folder.path()).unwrap().find(&id).unwrap().tags[0].familiar(), "a.example/x:1");
}

#[test]
fn a_saved_image_is_the_one_that_was_loaded() {
    if !is_root() {
        return;
    }
    let (_folder, store) = open();
    // A path twice, a sparse-looking run of zeros, an odd length: the tar must come back byte for byte.
    let odd = Archive::default()
        .file("f", "first")
        .entry(EntryType::Regular, "f", "", &[0; 70_001], |_| {})
        .hard_link("g", "f")
        .finish();
    let mut padded = layer("d/f");
    padded.extend([0; 9216]);
    let id = load(&store, &archive("x:1", &[padded, odd])).unwrap()[0].id.clone();
    store.tag("x:1", &Reference::parse("y:2").unwrap()).unwrap();

    let mut saved = Vec::new();
    store.export(&["x:1".to_owned(), "y".to_owned()]).unwrap().write(&mut saved).unwrap();
    let (_other, other) = open();
    let loaded = load(&other, &saved).unwrap();
    assert_eq!(loaded[0].id, id);
    let names: Vec<String> = loaded[0].names.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["x:1", "y:2"]);
    let mut again = Vec::new();
    other.export(&["x:1".to_owned(), "y".to_owned()]).unwrap().write(&mut again).unwrap();
    assert!(saved == again);
}

#[test]
fn a_broken_archive_leaves_nothing() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    let good = archive("x:1", &[layer("d/f"), layer("d/g")]);
    let place = good.windows(9).rposition(|bytes| bytes == b"some data").unwrap();
    let mut bad = good.clone();
    bad[place] ^= 1;
    assert!(load(&store, &bad).unwrap_err().to_string().starts_with("digest mismatch"));
    assert!(load(&store, &good[..good.len() / 2]).is_err());
    assert!(load(&store, b"").is_err());
    assert_eq!(counts(&folder), [0, 0, 0, 0]);
    load(&store, &good).unwrap();
}

#[test]
fn layers_stay_while_someone_needs_them() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    let id = load(&store, &archive("x:1", &[layer("d/f")])).unwrap()[0].id.clone();
    load(&store, &archive("y:1", &[layer("d/f"), layer("d/g")])).unwrap();
    assert_eq!(counts(&folder), [2, 2, 2, 0]);
    let layers = store.hold("c0ffee", &id.parse().unwrap()).unwrap();
    assert!(layers[0].join("d/f").exists());

    let running = |_: &str| true;
    let line = store.remove("x:1", Remove::default(), &running).unwrap_err().to_string();
    assert!(line.starts_with(
        "conflict: unable to remove repository reference \"x:1\" (must force) - container c0ffee"
    ));
    assert!(
        store
            .remove("x:1", Remove { force: true }, &running)
            .unwrap_err()
            .to_string()
            .contains("running container")
    );
    assert!(store.find("x:1").is_ok());
    store.remove("x:1", Remove { force: true }, &|_| false).unwrap();
    store.remove("y:1", Remove::default(), &|_| false).unwrap();
    assert_eq!(counts(&folder), [1, 1, 0, 0]);
    assert_eq!(Store::open(folder.path()).unwrap().held("c0ffee").unwrap().layers, layers);
    store.release("c0ffee").unwrap();
    assert_eq!(counts(&folder), [0, 0, 0, 0]);
}

#[test]
fn names_go_before_images() {
    if !is_root() {
        return;
    }
    let (_folder, store) = open();
    let id = load(&store, &archive("x:1", &[layer("d/f")])).unwrap()[0].id.clone();
    store.tag("x:1", &Reference::parse("z/y").unwrap()).unwrap();
    let line = store.remove(&id[7..19], Remove::default(), &|_| false).unwrap_err().to_string();
    assert!(line.contains("(must be forced) - image is referenced in multiple repositories"), "{line}");
    let removed = store.remove("z/y", Remove::default(), &|_| false).unwrap();
    assert_eq!(removed, [Removed::Untagged("z/y:latest".to_owned())]);
    let removed = store.remove("x:1", Remove::default(), &|_| false).unwrap();
    assert_eq!(removed[..2], [Removed::Untagged("x:1".to_owned()), Removed::Deleted(id)]);
    assert!(matches!(&removed[2..], [Removed::Deleted(_)]));
}

#[test]
fn a_kill_leaves_rubbish_that_the_next_start_sweeps() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    load(&store, &archive("x:1", &[layer("d/f")])).unwrap();
    for name in ["layers/77", "ingest/5"] {
        fs::create_dir_all(folder.path().join(name).join("deep")).unwrap();
    }
    fs::write(folder.path().join("frames/77"), "x").unwrap();
    fs::write(folder.path().join("documents/sha256-00"), "x").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(counts(&folder), [1, 1, 1, 0]);
    assert_eq!(store.count(), 1);
}

#[test]
fn two_at_a_time_unpack_a_layer_once() {
    if !is_root() {
        return;
    }
    let (folder, store) = open();
    let bytes = archive("x:1", &[layer("d/f"), layer("d/g")]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&store, &bytes).unwrap());
        }
    });
    assert_eq!(counts(&folder), [2, 2, 1, 0]);
}
