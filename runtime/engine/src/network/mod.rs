//! Networks: what containers are connected to. Bridges, links and rules are made by `runtime-network`.
//!
//! The records are in [`store`]; [`mode`] says what a container asks for, [`attach`] gives it to a running one, [`files`] tells it, [`dns`] answers its questions; each verb of
//! `docker network` has a file of its own.

mod attach;
mod connect;
mod create;
mod disconnect;
mod dns;
mod files;
mod inspect;
mod list;
mod mode;
mod prune;
mod publish;
mod remove;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::attach::Link;
use self::store::NetworkRecord;
pub(crate) use self::store::Networks;
use crate::container::entry::Entry;
use crate::events::event;
use crate::models::EventMessageTypeEnum;
use crate::{Engine, Error};

/// docker's own networks.
const BUILT_IN: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

/// Whether a network is there from the start. Containers do not find each other by name on those.
fn is_built_in(network: &str) -> bool {
    BUILT_IN.iter().any(|(name, _)| *name == network)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: runtime_network::Error) -> Error {
    Error::Network { message: error.to_string(), status: error.status() }
}

impl Engine {
    fn tell_network(&self, network: &NetworkRecord, action: &str, container: Option<&str>) {
        let mut attributes = HashMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
        self.emit(event(EventMessageTypeEnum::NETWORK, action, &network.id, attributes));
    }

    /// The running containers on a network.
    fn users(&self, network: &str) -> Vec<Arc<Entry>> {
        let on = |entry: &Arc<Entry>| entry.record().links.iter().any(|link| link.network == network);
        self.all().into_iter().filter(on).collect()
    }
}
