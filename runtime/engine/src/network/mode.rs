//! [`Mode`]: what a container asks for, and whether it can have it.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_oci::spec::Network;

use super::publish::parse_port;
use crate::container::entry::{Entry, Record, Status};
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

/// What a container cannot have beside another's network.
fn shares_alone(host: &HostConfig) -> Result<(), Error> {
    let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let conflicts = [
        (has(&host.links), "links"),
        (has(&host.dns), "dns"),
        (has(&host.extra_hosts), "custom host-to-IP mapping"),
        (host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()), "port publishing"),
        (host.publish_all_ports == Some(true), "port publishing"),
    ];
    match conflicts.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => {
            Err(Error::Invalid(format!("conflicting options: {what} and the container type network mode")))
        }
        None => Ok(()),
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
            Mode::Container(other) => {
                shares_alone(host)?;
                return self.find(&other).map(|_| HashMap::new());
            }
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
                let pid = self.running(&other, "network")?.record().state.pid;
                Ok(Network::Of(format!("/proc/{pid}/ns/net").into()))
            }
        }
    }

    /// The container whose network a container has, and with it host name and files.
    pub(crate) fn lends_network(&self, record: &Record) -> Result<Option<Arc<Entry>>, Error> {
        match Mode::of(&record.host_config) {
            Mode::Container(other) => self.running(&other, "network").map(Some),
            Mode::Host | Mode::None | Mode::Named(_) => Ok(None),
        }
    }

    /// A container whose namespace of a kind is to be joined.
    pub(crate) fn running(&self, reference: &str, kind: &str) -> Result<Arc<Entry>, Error> {
        let other = self.find(reference)?;
        match other.status() {
            status if status.is_alive() => Ok(other),
            Status::Restarting => Err(Error::Restarting(other.id.clone())),
            _ => Err(Error::Conflict(format!("cannot join {kind} of a non running container: {}", other.id))),
        }
    }
}
