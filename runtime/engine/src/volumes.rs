//! Named volumes: folders that outlive containers.

use crate::models::{Volume, VolumeCreateRequest, VolumeListResponse, VolumePruneResponse};
use crate::{Engine, Error, Filters};

impl Engine {
    /// Makes a volume; one that is there already is given as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for names and options, [`Error::Unsupported`] for drivers.
    pub async fn volume_create(&self, request: VolumeCreateRequest) -> Result<Volume, Error> {
        let _ = request;
        Err(Error::Unsupported("volumes".to_owned()))
    }

    /// Lists those that match.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn volume_list(&self, filters: &Filters) -> Result<VolumeListResponse, Error> {
        let _ = filters;
        Ok(VolumeListResponse { volumes: Some(Vec::new()), warnings: Some(Vec::new()) })
    }

    /// Tells about one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVolume`].
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume, Error> {
        Err(Error::NoSuchVolume(name.to_owned()))
    }

    /// Removes one. With `force` one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVolume`], [`Error::VolumeInUse`].
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<(), Error> {
        let _ = force;
        Err(Error::NoSuchVolume(name.to_owned()))
    }

    /// Removes those that no container has: anonymous ones, and with the filter `all` named ones, too.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn volume_prune(&self, filters: &Filters) -> Result<VolumePruneResponse, Error> {
        let _ = filters;
        Err(Error::Unsupported("volumes".to_owned()))
    }
}
