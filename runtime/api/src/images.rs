//! The image store as the engine wants it.

use std::path::PathBuf;

use coffer_engine::Error;
use coffer_engine::images::{Image, Images};
use runtime_image::Store;
use runtime_image::reference::Reference;
use runtime_image::store::{StoreError, StoredImage};

/// The store behind the engine's trait.
#[derive(Debug)]
pub struct StoredImages(pub Store);

impl Images for StoredImages {
    fn find(&self, name: &str) -> Result<Image, Error> {
        let image = self.0.find(name).map_err(into_error)?;
        let size = image.size();
        Ok(Image {
            id: image.id.to_string(),
            manifest: manifest(name, &image),
            config: (*image.config).clone(),
            json: (*image.json).clone(),
            size,
        })
    }

    fn hold(&self, container: &str, id: &str) -> Result<Vec<PathBuf>, Error> {
        let no_such = || Error::NoSuchImage(id.to_owned());
        let id = runtime_image::reference::parse_digest(id).ok_or_else(no_such)?;
        self.0.hold(container, &id).map_err(into_error)
    }

    fn held(&self, container: &str) -> Option<Vec<PathBuf>> {
        self.0.held(container).map(|held| held.layers)
    }

    fn release(&self, container: &str) -> Result<(), Error> {
        self.0.release(container).map_err(into_error)
    }

    fn count(&self) -> usize {
        self.0.count()
    }
}

/// The digest in the name, or the one that the image was pulled by.
fn manifest(name: &str, image: &StoredImage) -> Option<String> {
    let asked = Reference::parse(name).ok().and_then(|reference| reference.digest().cloned());
    let known = image.digests.first().and_then(Reference::digest).or(image.manifest.as_ref());
    asked.as_ref().or(known).map(ToString::to_string)
}

fn into_error(error: StoreError) -> Error {
    match error {
        StoreError::NoSuchImage(name) => Error::NoSuchImage(name),
        StoreError::Reference(error) => Error::Invalid(error.to_string()),
        StoreError::Image(error) => Error::Image(error),
        error => Error::system("use the image store")(std::io::Error::other(error)),
    }
}
