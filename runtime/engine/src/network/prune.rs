//! `docker network prune`

use super::store::NetworkRecord;
use crate::models::NetworkPruneResponse;
use crate::{Engine, Error, Filters};

impl Engine {
    /// Removes those without containers.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn network_prune(&self, filters: &Filters) -> Result<NetworkPruneResponse, Error> {
        filters.allow(&["label", "label!", "until"])?;
        let until = filters.values("until").next().map(crate::container::until).transpose()?;
        let records: Vec<NetworkRecord> = self.inner.networks.table().values().cloned().collect();
        let mut removed = Vec::new();
        for network in records {
            let is_used = self.all().iter().any(|entry| entry.record().endpoints.contains_key(&network.name));
            let is_wanted = !network.is_built_in()
                && !is_used
                && until.is_none_or(|until| network.created <= until)
                && filters.match_labels(|key| network.labels.get(key).map(String::as_str));
            if is_wanted && self.network_remove(&network.id).await.is_ok() {
                removed.push(network.name);
            }
        }
        Ok(NetworkPruneResponse { networks_deleted: Some(removed) })
    }
}
