//! What the engine needs of the image store: find an image, keep its layers while a container uses them.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use oci_spec::image::ImageConfiguration;

use crate::Error;

/// An image that containers can be made of.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// The digest that a registry knows it by, if it came by one: the one that it was asked for by, if it was by one.
    pub manifest: Option<String>,
    pub config: ImageConfiguration,
    /// `Config.Labels`, `Healthcheck` and the like that the OCI type lacks are in here.
    pub json: serde_json::Value,
    /// The size of its layers, in bytes.
    pub size: u64,
}

/// The image store. All methods may block.
pub trait Images: fmt::Debug + Send + Sync {
    /// Finds by name, digest, id or unique start of an id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchImage`].
    fn find(&self, name: &str) -> Result<Image, Error>;

    /// Keeps the image's layers until [`Images::release`], over restarts, and gives them, topmost first.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn hold(&self, container: &str, id: &str) -> Result<Vec<PathBuf>, Error>;

    /// The layers that a container holds, if it holds any.
    fn held(&self, container: &str) -> Option<Vec<PathBuf>>;

    /// Lets go of what [`Images::hold`] kept.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn release(&self, container: &str) -> Result<(), Error>;

    /// How many images there are.
    fn count(&self) -> usize;
}

/// Labels as docker has them.
pub type Labels = HashMap<String, String>;
