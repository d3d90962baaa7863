//! `docker network rm`

use runtime_network::bridge;

use super::failed;
use crate::engine::blocking;
use crate::{Engine, Error};

impl Engine {
    /// Removes one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`], [`Error::Forbidden`] for docker's own and for those that containers are on.
    pub async fn network_remove(&self, name: &str) -> Result<(), Error> {
        let _guard = self.inner.networks.changes.lock().await;
        let network = self.inner.networks.find(name)?;
        if network.is_built_in() {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                network.name
            )));
        }
        if !self.users(&network.name).is_empty() {
            let text = format!(
                "error while removing network: network {} id {} has active endpoints",
                network.name, network.id
            );
            return Err(Error::Forbidden(text));
        }
        if let Some(bridge) = network.bridge.clone() {
            blocking(move || bridge::remove(&bridge).map_err(failed)).await?;
        }
        let file = self.inner.networks.folder.join(format!("{}.json", network.id));
        std::fs::remove_file(file).map_err(Error::system(format!("remove network {}", network.name)))?;
        self.inner.networks.table().remove(&network.id);
        self.tell_network(&network, "destroy", None);
        Ok(())
    }
}
