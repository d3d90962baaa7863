//! [`Store`]: the images of a machine, on its disk or in its memory.
//!
//! ```text
//! index.json      all that is known: images, names, layers, who holds what (`state.rs`)
//! documents/HEX   configurations and manifests, as they came, by their sha256
//! layers/N        a layer's files, as overlayfs takes them
//! frames/N        the same layer's tar without the files' data (gzip; `frame`)
//! ingest/         what is being pulled, loaded or unpacked
//! reserve         room for writing the index when everything else is full
//! ```
//!
//! Every change writes a new `index.json` and renames it over the old one; files come before the index that names them and go after
//! the one that does not. So a kill at any moment leaves either the old state or the new one, and rubbish that [`Store::open`]
//! sweeps. Whoever brings an image in has a [`Lease`] (`lease.rs`): what it has brought stays until it lets go, though no image needs it
//! yet. All methods block.

mod error;
mod find;
mod hold;
mod lease;
mod load;
mod remove;
mod save;
mod state;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::remove_tree;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use oci_spec::image::Digest;

pub use error::StoreError;
pub use find::{StoredImage, StoredLayer};
pub use hold::Held;
pub use lease::{Ingest, Lease, chain_id};
pub use load::{LoadEvent, Loaded};
pub use remove::{Pruned, Remove, Removed};
pub use save::Export;
use state::State;

/// The longest index that is read. A thousand images with twenty layers each take 5 MB.
const INDEX_LIMIT: u64 = 256 << 20;

/// Room that is kept for a new index, in bytes.
const RESERVE: usize = 1 << 20;

/// The images of a machine. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    memory: Mutex<Memory>,
    /// Told when a layer that was being unpacked is done, well or not.
    unpacked: Condvar,
    next_ingest: AtomicU64,
}

/// The index and what is true only while this process lives.
#[derive(Debug, Default)]
struct Memory {
    state: State,
    /// Chain ids and digests of documents that each lease needs.
    leases: HashMap<u64, BTreeSet<String>>,
    next_lease: u64,
    /// Chain ids of layers that are being unpacked.
    unpacking: BTreeSet<String>,
}

impl Store {
    /// Opens the store in the folder `root`, which is made if it is not there, and removes what a killed process left behind.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the folder cannot be used or the index cannot be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let inner = Inner {
            root: root.to_owned(),
            memory: Mutex::default(),
            unpacked: Condvar::new(),
            next_ingest: AtomicU64::new(0),
        };
        let store = Self { inner: Arc::new(inner) };
        for folder in ["documents", "layers", "frames"] {
            let path = store.path(folder);
            fs::create_dir_all(&path).map_err(StoreError::io("create", &path))?;
        }
        let ingest = store.path("ingest");
        remove_all(&ingest)?;
        fs::create_dir(&ingest).map_err(StoreError::io("create", &ingest))?;

        let mut state = store.read_index()?;
        // Layers that only a lease of the killed process needed.
        let garbage = state.take_garbage(std::iter::empty());
        store.sweep(&state)?;
        if !garbage.layers.is_empty() {
            store.write_index(&state)?;
        }
        store.lock().state = state;
        store.keep_reserve();
        Ok(store)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.root.join(name)
    }

    fn layer_path(&self, number: u64) -> PathBuf {
        self.inner.root.join("layers").join(number.to_string())
    }

    fn frame_path(&self, number: u64) -> PathBuf {
        self.inner.root.join("frames").join(number.to_string())
    }

    fn document_path(&self, digest: &str) -> PathBuf {
        self.inner.root.join("documents").join(digest.replace(':', "-"))
    }

    /// A path that nothing has, for what is on its way in.
    fn ingest_path(&self) -> PathBuf {
        let number = self.inner.next_ingest.fetch_add(1, Ordering::Relaxed);
        self.inner.root.join("ingest").join(number.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // The state is replaced as a whole, so a panic elsewhere has not left half of a change.
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state: `change` works on a copy, which is written and then taken for true. What nobody needs afterwards goes.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut memory = self.lock();
        let mut state = memory.state.clone();
        let result = change(&mut state)?;
        let garbage = state.take_garbage(memory.leases.values().flatten());
        if state == memory.state {
            return Ok(result);
        }
        self.write_index(&state)?;

        let old = std::mem::replace(&mut memory.state, state);
        let leased = |digest: &str| memory.leases.values().any(|lease| lease.contains(digest));
        let needed = memory.state.documents();
        for digest in old.documents().difference(&needed) {
            if !leased(digest) {
                // What stays is swept by the next start.
                let _ = fs::remove_file(self.document_path(digest));
            }
        }
        drop(memory);
        for number in garbage.layers {
            let _ = remove_tree(&self.layer_path(number));
            let _ = fs::remove_file(self.frame_path(number));
        }
        self.keep_reserve();
        Ok(result)
    }

    fn read_index(&self) -> Result<State, StoreError> {
        let path = self.path("index.json");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            result => result.map_err(StoreError::io("open", &path))?,
        };
        serde_json::from_reader(io::BufReader::new(io::Read::take(file, INDEX_LIMIT)))
            .map_err(StoreError::Index)
    }

    fn write_index(&self, state: &State) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(state).map_err(StoreError::Index)?;
        match self.replace_file(&self.path("index.json"), &bytes) {
            // Removing images must be possible when nothing else is.
            Err(StoreError::NoSpace) => {
                let _ = fs::remove_file(self.path("reserve"));
                self.replace_file(&self.path("index.json"), &bytes)
            }
            result => result,
        }
    }

    /// Writes a file beside and renames it into its place.
    fn replace_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let new = self.ingest_path();
        let write = || {
            let mut file = File::create_new(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&new);
            StoreError::io("write", path)(error)
        })
    }

    fn keep_reserve(&self) {
        let path = self.path("reserve");
        if !path.exists() {
            // A full store has none until something is removed.
            let _ = self.replace_file(&path, &vec![0; RESERVE]);
        }
    }

    /// Removes every file that the index does not name.
    fn sweep(&self, state: &State) -> Result<(), StoreError> {
        let numbers: BTreeSet<String> = state.layers.values().map(|layer| layer.number.to_string()).collect();
        let documents: BTreeSet<String> =
            state.documents().iter().map(|digest| digest.replace(':', "-")).collect();
        for (folder, needed) in [("layers", &numbers), ("frames", &numbers), ("documents", &documents)] {
            let folder = self.path(folder);
            for entry in fs::read_dir(&folder).map_err(StoreError::io("list", &folder))? {
                let entry = entry.map_err(StoreError::io("list", &folder))?;
                if !entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
                    remove_all(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

/// Removes a file or folder that may be there.
fn remove_all(path: &Path) -> Result<(), StoreError> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(StoreError::io("remove", path)),
    }
}

/// A digest that the state has as text.
fn digest(text: &str) -> Result<Digest, StoreError> {
    text.parse().map_err(|_| StoreError::Index(serde::de::Error::custom(format!("`{text}` is no digest"))))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
