//! Networks: what containers are connected to.

use crate::models::{
    NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworkInspect, NetworkPruneResponse,
};
use crate::{Engine, Error, Filters};

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] for a name that is taken, [`Error::Unsupported`] for drivers, [`Error::Network`].
    pub async fn network_create(
        &self,
        request: NetworkCreateRequest,
    ) -> Result<NetworkCreateResponse, Error> {
        let _ = request;
        Err(Error::Unsupported("networks".to_owned()))
    }

    /// Lists those that match.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<NetworkInspect>, Error> {
        let _ = filters;
        Ok(Vec::new())
    }

    /// Tells about one, found by name, id or unique start of an id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`].
    pub async fn network_inspect(&self, name: &str) -> Result<NetworkInspect, Error> {
        Err(Error::NoSuchNetwork(name.to_owned()))
    }

    /// Removes one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`], [`Error::Forbidden`] for docker's own and for those that containers are on.
    pub async fn network_remove(&self, name: &str) -> Result<(), Error> {
        Err(Error::NoSuchNetwork(name.to_owned()))
    }

    /// Connects a container.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`], [`Error::NoSuchContainer`], [`Error::Forbidden`], [`Error::Network`].
    pub async fn network_connect(&self, name: &str, request: NetworkConnectRequest) -> Result<(), Error> {
        let _ = request;
        Err(Error::NoSuchNetwork(name.to_owned()))
    }

    /// Disconnects a container.
    ///
    /// # Errors
    ///
    /// As [`Engine::network_connect`].
    pub async fn network_disconnect(
        &self,
        name: &str,
        request: NetworkDisconnectRequest,
    ) -> Result<(), Error> {
        let _ = request;
        Err(Error::NoSuchNetwork(name.to_owned()))
    }

    /// Removes those without containers.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn network_prune(&self, filters: &Filters) -> Result<NetworkPruneResponse, Error> {
        let _ = filters;
        Err(Error::Unsupported("networks".to_owned()))
    }
}
