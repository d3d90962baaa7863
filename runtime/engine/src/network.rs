//! Networks: what containers are connected to.

use std::collections::HashMap;

use runtime_oci::spec::Network;

use crate::container::entry::{Entry, Record};
use crate::container::host_name;
use crate::models::{
    EndpointSettings, HostConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse,
    NetworkDisconnectRequest, NetworkInspect, NetworkPruneResponse,
};
use crate::{Engine, Error, Filters};

/// What a container's network is, from `HostConfig.NetworkMode`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Host,
    None,
    /// That of another container.
    Container(String),
    /// The network of this name; docker's own is `bridge`.
    Named(String),
}

impl Mode {
    fn of(host: &HostConfig) -> Self {
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
        wished: HashMap<String, EndpointSettings>,
        warnings: &mut Vec<String>,
    ) -> Result<HashMap<String, EndpointSettings>, Error> {
        let endpoint = |name: &str| {
            let settings = wished.get(name).or_else(|| wished.get("default")).cloned().unwrap_or_default();
            HashMap::from([(name.to_owned(), settings)])
        };
        match Mode::of(host) {
            Mode::Host => Ok(endpoint("host")),
            Mode::None => Ok(endpoint("none")),
            Mode::Container(other) => self.find(&other).map(|_| HashMap::new()),
            Mode::Named(name) if name == "bridge" => {
                warnings
                    .push("there is no bridge network yet: the container has only its loopback".to_owned());
                Ok(endpoint("bridge"))
            }
            Mode::Named(name) => Err(Error::NoSuchNetwork(name)),
        }
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
                    return Err(Error::Conflict(format!(
                        "cannot join network of a non running container: {}",
                        other.id
                    )));
                }
                Ok(Network::Of(format!("/proc/{pid}/ns/net").into()))
            }
        }
    }

    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(&self, entry: &Entry, record: &Record) -> Result<(), Error> {
        let write = |name: &str, text: &str| {
            std::fs::write(entry.folder.join(name), text).map_err(Error::system(format!("write `{name}`")))
        };
        let hostname = host_name(record);
        write("hostname", &format!("{hostname}\n"))?;
        let mut hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
        for extra in record.host_config.extra_hosts.iter().flatten() {
            let (name, address) = extra.split_once([':', '=']).unwrap_or((extra, ""));
            hosts.push_str(&format!("{address}\t{name}\n"));
        }
        write("hosts", &hosts)?;
        let host = &record.host_config;
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let (servers, search, options) = (list(&host.dns), list(&host.dns_search), list(&host.dns_options));
        let mut text: String = machine
            .lines()
            .filter(|line| {
                let is = |word: &str, wished: &[String]| line.starts_with(word) && !wished.is_empty();
                !(is("nameserver", &servers) || is("search", &search) || is("options", &options))
            })
            .map(|line| format!("{line}\n"))
            .collect();
        text.extend(servers.iter().map(|server| format!("nameserver {server}\n")));
        if !search.is_empty() {
            text.push_str(&format!("search {}\n", search.join(" ")));
        }
        if !options.is_empty() {
            text.push_str(&format!("options {}\n", options.join(" ")));
        }
        write("resolv.conf", &text)
    }

    /// Connects a container that is created, but not started.
    pub(crate) async fn connect_networks(&self, entry: &Entry, pid: i32) -> Result<(), Error> {
        let _ = (entry, pid);
        Ok(())
    }

    /// Takes away what connects a container that has ended.
    pub(crate) async fn disconnect_networks(&self, entry: &Entry) {
        let _ = entry;
    }

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
