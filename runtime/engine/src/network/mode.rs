//! [`Mode`]: what a container asks for, and whether it can have it.

use std::collections::HashMap;

use runtime_oci::spec::Network;

use super::publish::parse_port;
use crate::container::entry::Record;
use crate::models::{EndpointSettings, HostConfig};
use crate::{Engine, Error};

/// What a container's network is, from `HostConfig.NetworkMode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Host,
    None,
    /// That of another container.
    Container(String),
    /// The network of this name; docker's own is `bridge`.
    Named(String),
}

impl Mode {
    pub(super) fn of(host: &HostConfig) -> Self {
        match host.network_mode.as_deref().unwrap_or_default() {
            "host" => Self::Host,
            "none" => Self::None,
            "" | "default" => Self::Named("bridge".to_owned()),
            mode => match mode.strip_prefix("container:") {
                Some(container) => Self::Container(container.to_owned()),
                None => Self::Named(mode.to_owned()),
            },
        }
    }
}

impl Engine {
    /// Checks what a container asks for; gives its endpoints.
    pub(crate) fn check_networks(
        &self,
        host: &HostConfig,
        mut wished: HashMap<String, EndpointSettings>,
    ) -> Result<HashMap<String, EndpointSettings>, Error> {
        let first = match Mode::of(host) {
            Mode::Host => "host".to_owned(),
            Mode::None => "none".to_owned(),
            Mode::Container(other) => return self.find(&other).map(|_| HashMap::new()),
            Mode::Named(name) => self.inner.networks.find(&name)?.name,
        };
        if let Some(settings) = wished.remove("default") {
            wished.entry(first.clone()).or_insert(settings);
        }
        wished.entry(first).or_default();
        let mut endpoints = HashMap::new();
        for (name, settings) in wished {
            let network = self.inner.networks.find(&name)?;
            if settings.mac_address.as_deref().is_some_and(|mac| !mac.is_empty()) {
                return Err(Error::Unsupported("a given Ethernet address (--mac-address)".to_owned()));
            }
            endpoints.insert(network.name, settings);
        }
        for (port, _) in host.port_bindings.iter().flatten() {
            parse_port(port)?;
        }
        Ok(endpoints)
    }

    /// The network namespace of a container.
    pub(crate) fn network_of(&self, record: &Record) -> Result<Network, Error> {
        match Mode::of(&record.host_config) {
            Mode::Host => Ok(Network::Host),
            Mode::None | Mode::Named(_) => Ok(Network::Own),
            Mode::Container(other) => {
                let other = self.find(&other)?;
                let pid = other.record().state.pid;
                if !other.status().is_alive() {
                    let text = format!("cannot join network of a non running container: {}", other.id);
                    return Err(Error::Conflict(text));
                }
                Ok(Network::Of(format!("/proc/{pid}/ns/net").into()))
            }
        }
    }
}
