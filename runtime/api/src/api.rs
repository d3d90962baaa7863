//! [`Api`]: what every request can reach.

use std::sync::Arc;

use coffer_engine::Engine;
use runtime_image::Store;
use runtime_registry::Registries;

/// The engine, the images, and where images come from.
#[derive(Clone, Debug)]
pub struct Api {
    pub engine: Engine,
    pub images: Store,
    pub registries: Arc<Registries>,
}
