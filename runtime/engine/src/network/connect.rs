//! `docker network connect`

use std::sync::Arc;

use rustix::process::Pid;

use super::mode::Mode;
use crate::engine::blocking;
use crate::models::NetworkConnectRequest;
use crate::{Engine, Error};

impl Engine {
    /// Connects a container.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`], [`Error::NoSuchContainer`], [`Error::Forbidden`], [`Error::Network`].
    pub async fn network_connect(&self, name: &str, request: NetworkConnectRequest) -> Result<(), Error> {
        let network = self.inner.networks.find(name)?;
        let entry = self.find(&request.container)?;
        let _lifecycle = entry.lifecycle.lock().await;
        let _guard = self.inner.networks.changes.lock().await;
        let record = entry.record().clone();
        if network.bridge.is_none() || !matches!(Mode::of(&record.host_config), Mode::Named(_)) {
            return Err(Error::Forbidden(
                "container cannot be connected to network: one of them is host, none or another container's"
                    .to_owned(),
            ));
        }
        if record.endpoints.contains_key(&network.name) {
            return Err(Error::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                record.name, network.name
            )));
        }
        entry.change(|record| {
            record.endpoints.insert(network.name.clone(), request.endpoint_config.unwrap_or_default())
        })?;
        let Some(pid) = Pid::from_raw(record.state.pid).filter(|_| record.state.status.is_alive()) else {
            return Ok(());
        };
        // As in docker, what comes later is never eth0.
        let number = record.links.iter().map(|link| link.number + 1).max().unwrap_or(1);
        let (engine, connected, name) = (self.clone(), Arc::clone(&entry), network.name.clone());
        let result = blocking(move || {
            engine.connect_one(&connected, pid, &name, number)?;
            Self::write_hosts(&connected)?;
            // The first network that somebody made brings a name server.
            Self::write_resolv_conf(&connected)
        })
        .await
        .and_then(|()| self.serve_names(&entry, pid));
        if result.is_err() {
            entry.change(|record| record.endpoints.remove(&network.name))?;
        }
        result
    }
}
