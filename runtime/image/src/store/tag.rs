//! `docker tag`: another name for an image.

use super::find::resolve;
use super::{Store, StoreError, now};
use crate::Reference;

impl Store {
    /// Gives the image `source` the name `target`, which another image may lose thereby. Returns the image's id.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`], or [`StoreError::TagWithDigest`].
    pub fn tag(&self, source: &str, target: &Reference) -> Result<String, StoreError> {
        if target.digest().is_some() {
            return Err(StoreError::TagWithDigest);
        }
        let target = target.clone().or_latest();
        self.change(|state| {
            let id = resolve(state, source)?;
            state.names.insert(target.to_string(), id.clone());
            if let Some(image) = state.images.get_mut(&id) {
                image.tagged = now();
            }
            Ok(id)
        })
    }
}
