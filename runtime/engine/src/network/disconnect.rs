//! `docker network disconnect`

use std::sync::Arc;

use rustix::process::Pid;

use super::attach::Link;
use crate::engine::blocking;
use crate::models::NetworkDisconnectRequest;
use crate::{Engine, Error};

impl Engine {
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
        let network = self.inner.networks.find(name)?;
        let entry = self.find(&request.container)?;
        let _lifecycle = entry.lifecycle.lock().await;
        let _guard = self.inner.networks.changes.lock().await;
        if !entry.record().endpoints.contains_key(&network.name) {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {}",
                entry.id, network.name
            )));
        }
        let links = entry.change(|record| {
            record.endpoints.remove(&network.name);
            let (gone, kept) = record.links.drain(..).partition(|link: &Link| link.network == network.name);
            record.links = kept;
            let gone: Vec<Link> = gone;
            if gone.iter().any(|link| !link.published.is_empty()) {
                record.ports.clear();
            }
            gone
        })?;
        let engine = self.clone();
        let state = entry.record().state.clone();
        let pid = Pid::from_raw(state.pid).filter(|_| state.status.is_alive());
        let disconnected = Arc::clone(&entry);
        blocking(move || {
            links.iter().for_each(|link| engine.take_away(link, &disconnected.id));
            Self::write_hosts(&disconnected)?;
            pid.map_or(Ok(()), |pid| engine.hand_over(&disconnected, &links, pid))
        })
        .await
    }
}
