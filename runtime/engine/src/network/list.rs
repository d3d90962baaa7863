//! `docker network ls`

use super::store::NetworkRecord;
use crate::models::NetworkInspect;
use crate::{Engine, Error, Filters};

impl Engine {
    /// Lists those that match.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<NetworkInspect>, Error> {
        filters.allow(&["dangling", "driver", "id", "label", "label!", "name", "scope", "type"])?;
        let dangling = filters.flag("dangling")?;
        let records: Vec<NetworkRecord> = self.inner.networks.table().values().cloned().collect();
        let matches = |network: &NetworkRecord| {
            filters.any("driver", |driver| driver == network.driver)
                && filters.any("id", |id| network.id.starts_with(id))
                && filters.any("name", |name| network.name.contains(name))
                && filters.any("scope", |scope| scope == "local")
                && filters
                    .any("type", |kind| kind == if network.is_built_in() { "builtin" } else { "custom" })
                && dangling.is_none_or(|wanted| {
                    (!network.is_built_in() && self.users(&network.name).is_empty()) == wanted
                })
                && filters.match_labels(|key| network.labels.get(key).map(String::as_str))
        };
        Ok(records
            .iter()
            .filter(|network| matches(network))
            .map(|network| self.describe_network(network))
            .collect())
    }
}
