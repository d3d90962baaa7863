//! Holds: a container keeps the layers that it stands on, by a line in the index that outlives this process.

use std::path::PathBuf;

use oci_spec::image::Digest;

use super::state::{Hold, State};
use super::{Store, StoreError, digest};

/// What a holder keeps.
#[derive(Clone, Debug)]
pub struct Held {
    /// The id of the image, which may have been removed by force since.
    pub image: Digest,
    /// Directories for overlayfs, topmost layer first.
    pub layers: Vec<PathBuf>,
}

impl Store {
    /// Keeps the layers of the image `id` for `holder` until [`Store::release`]; gives their directories, topmost first.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`], or when the index cannot be written.
    pub fn hold(&self, holder: &str, id: &Digest) -> Result<Vec<PathBuf>, StoreError> {
        self.change(|state| {
            let image = id.to_string();
            let no_such = || StoreError::NoSuchImage(image.clone());
            let layers = state.images.get(&image).ok_or_else(no_such)?.layers.clone();
            let directories = self.directories(state, &layers);
            state.holds.insert(holder.to_owned(), Hold { image, layers });
            Ok(directories)
        })
    }

    /// What `holder` holds.
    #[must_use]
    pub fn held(&self, holder: &str) -> Option<Held> {
        let memory = self.lock();
        let hold = memory.state.holds.get(holder)?;
        let image = digest(&hold.image).ok()?;
        Some(Held { image, layers: self.directories(&memory.state, &hold.layers) })
    }

    /// Everybody who holds something.
    #[must_use]
    pub fn holders(&self) -> Vec<String> {
        self.lock().state.holds.keys().cloned().collect()
    }

    /// Lets go of what `holder` holds, if it does.
    ///
    /// # Errors
    ///
    /// When the index cannot be written.
    pub fn release(&self, holder: &str) -> Result<(), StoreError> {
        self.change(|state| {
            state.holds.remove(holder);
            Ok(())
        })
    }

    pub(super) fn directories(&self, state: &State, chains: &[String]) -> Vec<PathBuf> {
        let layers = chains.iter().rev().filter_map(|chain| state.layers.get(chain));
        layers.map(|layer| self.layer_path(layer.number)).collect()
    }
}
