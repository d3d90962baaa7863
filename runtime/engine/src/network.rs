//! Networks: what containers are connected to. The records are here; bridges, links and rules are made by `runtime-network`.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_network::endpoint::Endpoint;
use runtime_network::publish::{Protocol, Published};
use runtime_network::{Ipv4Net, bridge, endpoint, ipam, pool, publish};
use runtime_oci::spec::Network;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::container::entry::{Entry, Record};
use crate::container::host_name;
use crate::engine::{blocking, random_id};
use crate::events::event;
use crate::models::{
    EndpointResource, EndpointSettings, EventMessageTypeEnum, HostConfig, Ipam, IpamConfig,
    NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworkInspect, NetworkPruneResponse, PortBinding,
};
use crate::shim::{read_json, write_json};
use crate::time::{Time, now};
use crate::{Engine, Error, Filters};

/// docker's own networks.
const BUILT_IN: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];
const DEFAULT_BRIDGE: &str = "docker0";
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    id: String,
    name: String,
    created: Time,
    driver: String,
    /// Of networks with a bridge.
    bridge: Option<runtime_network::Network>,
    range: Option<Ipv4Net>,
    is_attachable: bool,
    labels: HashMap<String, String>,
    options: HashMap<String, String>,
}

impl NetworkRecord {
    fn is_built_in(&self) -> bool {
        BUILT_IN.iter().any(|(name, _)| *name == self.name)
    }
}

/// What connects a running container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    network: String,
    /// The machine's end.
    name: String,
    published: Vec<Published>,
}

/// All networks.
#[derive(Debug)]
pub(crate) struct Networks {
    folder: PathBuf,
    table: Mutex<BTreeMap<String, NetworkRecord>>,
    /// Held while addresses are chosen and links are made.
    changes: tokio::sync::Mutex<()>,
}

impl Networks {
    /// Reads what is there, and adds docker's own.
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder).map_err(Error::system("create the folder of the networks"))?;
        let mut table = BTreeMap::new();
        for file in std::fs::read_dir(&folder).map_err(Error::system("list the networks"))?.flatten() {
            match read_json::<NetworkRecord>(&file.path()) {
                Ok(record) => drop(table.insert(record.id.clone(), record)),
                Err(error) => eprintln!("engine: network `{}` is left out: {error}", file.path().display()),
            }
        }
        let networks = Self { folder, table: Mutex::new(table), changes: tokio::sync::Mutex::default() };
        for (name, driver) in BUILT_IN {
            if networks.find(name).is_ok() {
                continue;
            }
            let bridge = (driver == "bridge").then(|| default_bridge(&networks.subnets())).transpose()?;
            networks.add(NetworkRecord {
                id: random_id()?,
                name: name.to_owned(),
                created: now(),
                driver: driver.to_owned(),
                bridge,
                range: None,
                is_attachable: false,
                labels: HashMap::new(),
                options: HashMap::new(),
            })?;
        }
        Ok(networks)
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, NetworkRecord>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, record: NetworkRecord) -> Result<(), Error> {
        write_json(&self.folder.join(format!("{}.json", record.id)), &record)?;
        self.table().insert(record.id.clone(), record);
        Ok(())
    }

    /// By name, id or unique start of an id.
    fn find(&self, reference: &str) -> Result<NetworkRecord, Error> {
        let table = self.table();
        if let Some(record) = table.values().find(|it| it.name == reference).or_else(|| table.get(reference))
        {
            return Ok(record.clone());
        }
        let mut starting = table.values().filter(|it| !reference.is_empty() && it.id.starts_with(reference));
        match (starting.next(), starting.next()) {
            (Some(record), None) => Ok(record.clone()),
            (Some(_), Some(_)) => Err(Error::Ambiguous(reference.to_owned())),
            (None, _) => Err(Error::NoSuchNetwork(reference.to_owned())),
        }
    }

    fn subnets(&self) -> Vec<Ipv4Net> {
        self.table()
            .values()
            .filter_map(|record| record.bridge.as_ref().map(|bridge| bridge.subnet))
            .collect()
    }
}

fn default_bridge(used: &[Ipv4Net]) -> Result<runtime_network::Network, Error> {
    let subnet = pool::next(used).map_err(failed)?;
    let gateway = ipam::gateway(subnet).map_err(failed)?;
    Ok(runtime_network::Network {
        bridge: DEFAULT_BRIDGE.to_owned(),
        subnet,
        gateway,
        is_internal: false,
        mtu: None,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: runtime_network::Error) -> Error {
    Error::Network { message: error.to_string(), status: error.status() }
}

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

    /// Connects a container that is created, but not started.
    pub(crate) async fn connect_networks(&self, entry: &Arc<Entry>, pid: i32) -> Result<(), Error> {
        let record = entry.record().clone();
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::NotRunning(entry.id.clone()))?;
        match Mode::of(&record.host_config) {
            Mode::Host | Mode::Container(_) => return Ok(()),
            Mode::None => return blocking(move || endpoint::loopback_up(pid).map_err(failed)).await,
            Mode::Named(_) => {}
        }
        let _guard = self.inner.networks.changes.lock().await;
        let first = match Mode::of(&record.host_config) {
            Mode::Named(name) => self.inner.networks.find(&name)?.name,
            _ => String::new(),
        };
        let mut names: Vec<String> = record.endpoints.keys().cloned().collect();
        names.sort_by_key(|name| (*name != first, name.clone()));
        let (engine, entry) = (self.clone(), Arc::clone(entry));
        blocking(move || {
            for (number, name) in names.iter().enumerate() {
                engine.connect_one(&entry, pid, name, number)?;
            }
            engine.refresh_hosts();
            Ok(())
        })
        .await
    }

    fn connect_one(&self, entry: &Entry, pid: Pid, name: &str, number: usize) -> Result<(), Error> {
        let network = self.inner.networks.find(name)?;
        let Some(net) = &network.bridge else { return Ok(()) };
        let mut settings = entry.record().endpoints.get(name).cloned().unwrap_or_default();
        let wanted = settings.ipam_config.as_ref().and_then(|config| config.ipv4_address.clone());
        let wanted = wanted
            .filter(|address| !address.is_empty())
            .map(|text| text.parse().map_err(|_| Error::Invalid(format!("invalid IPv4 address: {text}"))))
            .transpose()?;
        let mut used = self.addresses(&network.name);
        used.push(net.gateway);
        let address = ipam::assign(net.subnet, network.range, &used, wanted).map_err(failed)?;
        bridge::ensure(net).map_err(failed)?;
        let mut place = Endpoint::new(&format!("eth{number}"), address);
        place.has_default_route = number == 0 && !net.is_internal;
        let link = endpoint::attach(net, &place, pid).map_err(failed)?;
        let published =
            if number == 0 { publish_all(&entry.record().clone(), address) } else { Ok(Vec::new()) };
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                // The first error is the one to tell.
                let _ = endpoint::detach(&link);
                return Err(error);
            }
        };
        let id = random_id()?;
        let names = settings.aliases.iter().flatten().cloned();
        settings.dns_names = Some(names.chain([entry.name(), entry.id.chars().take(12).collect()]).collect());
        settings.network_id = Some(network.id.clone());
        settings.endpoint_id = Some(id);
        settings.gateway = Some(if net.is_internal { String::new() } else { net.gateway.to_string() });
        settings.ip_address = Some(address.to_string());
        settings.ip_prefix_len = Some(net.subnet.prefix_len().into());
        settings.mac_address = Some(place.mac.to_string());
        entry.change(|record| {
            for it in &published {
                let binding = PortBinding {
                    host_ip: Some(it.host.ip().to_string()),
                    host_port: Some(it.host.port().to_string()),
                };
                let key = format!("{}/{}", it.target.port(), it.protocol);
                record.ports.entry(key).or_default().get_or_insert_default().push(binding);
            }
            record.endpoints.insert(network.name.clone(), settings);
            record.links.push(Link { network: network.name.clone(), name: link, published });
        })?;
        self.tell_network(&network, "connect", Some(&entry.id));
        Ok(())
    }

    /// Takes away what connects a container that has ended.
    pub(crate) async fn disconnect_networks(&self, entry: &Arc<Entry>) {
        if entry.record().links.is_empty() {
            return;
        }
        let _guard = self.inner.networks.changes.lock().await;
        let (engine, entry) = (self.clone(), Arc::clone(entry));
        let done = blocking(move || {
            let links = entry.change(|record| {
                record.ports.clear();
                record.endpoints.values_mut().for_each(forget_address);
                std::mem::take(&mut record.links)
            })?;
            for link in &links {
                engine.take_away(link, &entry.id);
            }
            engine.refresh_hosts();
            Ok(())
        });
        if let Err(error) = done.await {
            eprintln!("engine: {error}");
        }
    }

    fn take_away(&self, link: &Link, container: &str) {
        for published in &link.published {
            if let Err(error) = publish::remove(published) {
                eprintln!("engine: {error}");
            }
        }
        if let Err(error) = endpoint::detach(&link.name) {
            eprintln!("engine: {error}");
        }
        if let Ok(network) = self.inner.networks.find(&link.network) {
            self.tell_network(&network, "disconnect", Some(container));
        }
    }

    /// The addresses that containers have on a network.
    fn addresses(&self, network: &str) -> Vec<Ipv4Addr> {
        let address = |entry: &Arc<Entry>| {
            let record = entry.record();
            record.endpoints.get(network).and_then(|it| it.ip_address.as_deref()?.parse().ok())
        };
        self.all().iter().filter_map(address).collect()
    }

    /// Writes /etc/hosts of every container with addresses anew: its own names, and those of its neighbours on networks that users made.
    fn refresh_hosts(&self) {
        for entry in self.all() {
            let record = entry.record().clone();
            if record.links.is_empty() {
                continue;
            }
            if let Err(error) = write_in_place(&entry, "hosts", &self.hosts(&record)) {
                eprintln!("engine: {error}");
            }
        }
    }

    fn hosts(&self, record: &Record) -> String {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for extra in record.host_config.extra_hosts.iter().flatten() {
            let (name, address) = extra.split_once([':', '=']).unwrap_or((extra, ""));
            let gateway = record.endpoints.values().find_map(|it| it.gateway.clone()).unwrap_or_default();
            let address = if address == "host-gateway" { gateway } else { address.to_owned() };
            lines.push((address, vec![name.to_owned()]));
        }
        let mut own = vec![host_name(record)];
        if let Some(domain) = record.config.domainname.as_ref().filter(|domain| !domain.is_empty()) {
            own.insert(0, format!("{}.{domain}", host_name(record)));
        }
        for (network, settings) in &record.endpoints {
            let Some(address) = settings.ip_address.clone().filter(|address| !address.is_empty()) else {
                continue;
            };
            lines.push((address, own.clone()));
            if BUILT_IN.iter().any(|(name, _)| name == network) {
                continue;
            }
            for other in self.all().iter().filter(|other| other.id != record.id) {
                let theirs = other.record().endpoints.get(network).cloned().unwrap_or_default();
                if let (Some(address), Some(names)) = (theirs.ip_address, theirs.dns_names)
                    && !address.is_empty()
                {
                    lines.push((address, names));
                }
            }
        }
        runtime_network::files::hosts(
            lines
                .iter()
                .map(|(address, names)| (address.as_str(), names.iter().map(String::as_str).collect())),
        )
    }

    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(&self, entry: &Entry, record: &Record) -> Result<(), Error> {
        let hostname = runtime_network::files::hostname(&host_name(record));
        write_in_place(entry, "hostname", &hostname)?;
        write_in_place(entry, "hosts", &self.hosts(record))?;
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
        write_in_place(entry, "resolv.conf", &text)
    }

    fn describe_network(&self, network: &NetworkRecord) -> NetworkInspect {
        let bridge = network.bridge.as_ref();
        let config = bridge.map(|bridge| {
            vec![IpamConfig {
                subnet: Some(bridge.subnet.to_string()),
                gateway: Some(bridge.gateway.to_string()),
                ip_range: network.range.map(|range| range.to_string()),
                ..IpamConfig::default()
            }]
        });
        let mut containers = HashMap::new();
        for entry in self.all() {
            let record = entry.record();
            let Some(settings) = record.endpoints.get(&network.name) else { continue };
            if !record.state.status.is_alive() {
                continue;
            }
            let address = settings.ip_address.clone().unwrap_or_default();
            let prefix = settings.ip_prefix_len.unwrap_or_default();
            containers.insert(
                entry.id.clone(),
                EndpointResource {
                    name: Some(record.name.clone()),
                    endpoint_id: Some(settings.endpoint_id.clone().unwrap_or_default()),
                    mac_address: Some(settings.mac_address.clone().unwrap_or_default()),
                    ipv4_address: Some(if address.is_empty() {
                        address
                    } else {
                        format!("{address}/{prefix}")
                    }),
                    ipv6_address: Some(String::new()),
                },
            );
        }
        NetworkInspect {
            name: Some(network.name.clone()),
            id: Some(network.id.clone()),
            created: Some(network.created.to_string()),
            scope: Some("local".to_owned()),
            driver: Some(network.driver.clone()),
            enable_ipv4: Some(true),
            enable_ipv6: Some(false),
            ipam: Some(Ipam {
                driver: Some("default".to_owned()),
                config: Some(config.unwrap_or_default()),
                options: None,
            }),
            internal: Some(bridge.is_some_and(|bridge| bridge.is_internal)),
            attachable: Some(network.is_attachable),
            ingress: Some(false),
            config_only: Some(false),
            options: Some(network.options.clone()),
            labels: Some(network.labels.clone()),
            containers: Some(containers),
            ..NetworkInspect::default()
        }
    }

    fn tell_network(&self, network: &NetworkRecord, action: &str, container: Option<&str>) {
        let mut attributes = HashMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
        self.emit(event(EventMessageTypeEnum::NETWORK, action, &network.id, attributes));
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
        let driver = request.driver.clone().unwrap_or_default();
        if !matches!(driver.as_str(), "" | "bridge") {
            return Err(Error::Unsupported(format!("the network driver `{driver}`")));
        }
        if request.enable_ipv6 == Some(true) {
            return Err(Error::Unsupported("IPv6 (--ipv6)".to_owned()));
        }
        if request.ingress == Some(true)
            || request.config_only == Some(true)
            || request.config_from.as_ref().is_some_and(|from| from.network.is_some())
        {
            return Err(Error::Unsupported(
                "a network of a swarm, or made from another's configuration,".to_owned(),
            ));
        }
        if request.name.is_empty() || request.name.contains(['/', ' ']) {
            return Err(Error::Invalid(format!("invalid network name: {}", request.name)));
        }
        let options = request.options.clone().unwrap_or_default();
        if let Some(option) = options
            .keys()
            .find(|option| ![BRIDGE_NAME, "com.docker.network.driver.mtu"].contains(&option.as_str()))
        {
            return Err(Error::Unsupported(format!("the network option `{option}`")));
        }
        let _guard = self.inner.networks.changes.lock().await;
        let taken = self.inner.networks.table().values().any(|network| network.name == request.name);
        if taken {
            return Err(Error::Conflict(format!("network with name {} already exists", request.name)));
        }
        let config = request.ipam.clone().and_then(|ipam| ipam.config).unwrap_or_default();
        if config.len() > 1 {
            return Err(Error::Unsupported("a network with several subnets".to_owned()));
        }
        let config = config.into_iter().next().unwrap_or_default();
        fn parse<T: std::str::FromStr>(text: Option<String>, what: &str) -> Result<Option<T>, Error> {
            let text = text.filter(|text| !text.is_empty());
            text.map(|text| text.parse().map_err(|_| Error::Invalid(format!("invalid {what}: {text}"))))
                .transpose()
        }
        let used = self.inner.networks.subnets();
        let subnet = match parse::<Ipv4Net>(config.subnet, "subnet")? {
            Some(subnet) if used.iter().any(|other| pool::overlap(&subnet, other)) => {
                return Err(failed(runtime_network::Error::Overlap));
            }
            Some(subnet) => subnet.trunc(),
            None => pool::next(&used).map_err(failed)?,
        };
        let gateway = match parse(config.gateway, "gateway")? {
            Some(gateway) => ipam::assign(subnet, None, &[], Some(gateway)).map_err(failed)?,
            None => ipam::gateway(subnet).map_err(failed)?,
        };
        let id = random_id()?;
        let name = options.get(BRIDGE_NAME).cloned();
        let bridge = runtime_network::Network {
            bridge: name.unwrap_or_else(|| runtime_network::Network::bridge_name(&id)),
            subnet,
            gateway,
            is_internal: request.internal == Some(true),
            mtu: parse(options.get("com.docker.network.driver.mtu").cloned(), "MTU")?,
        };
        let record = NetworkRecord {
            id: id.clone(),
            name: request.name,
            created: now(),
            driver: "bridge".to_owned(),
            bridge: Some(bridge.clone()),
            range: parse(config.ip_range, "range of addresses")?,
            is_attachable: request.attachable == Some(true),
            labels: request.labels.unwrap_or_default(),
            options,
        };
        blocking(move || bridge::ensure(&bridge).map_err(failed)).await?;
        self.inner.networks.add(record.clone())?;
        self.tell_network(&record, "create", None);
        Ok(NetworkCreateResponse { id, warning: String::new() })
    }

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

    /// Tells about one, found by name, id or unique start of an id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`].
    pub async fn network_inspect(&self, name: &str) -> Result<NetworkInspect, Error> {
        Ok(self.describe_network(&self.inner.networks.find(name)?))
    }

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

    /// The running containers on a network.
    fn users(&self, network: &str) -> Vec<Arc<Entry>> {
        let on = |entry: &Arc<Entry>| entry.record().links.iter().any(|link| link.network == network);
        self.all().into_iter().filter(on).collect()
    }

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
        // A link's number is never used again while the container runs.
        let number = record.links.len().max(1);
        let (engine, connected, name) = (self.clone(), Arc::clone(&entry), network.name.clone());
        let result = blocking(move || {
            engine.connect_one(&connected, pid, &name, number)?;
            engine.refresh_hosts();
            Ok(())
        })
        .await;
        if result.is_err() {
            entry.change(|record| record.endpoints.remove(&network.name))?;
        }
        result
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
        let (engine, id) = (self.clone(), entry.id.clone());
        blocking(move || {
            links.iter().for_each(|link| engine.take_away(link, &id));
            engine.refresh_hosts();
            Ok(())
        })
        .await
    }

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

/// An endpoint of a container that does not run keeps what its user wanted only.
fn forget_address(settings: &mut EndpointSettings) {
    let EndpointSettings { ipam_config, aliases, driver_opts, gw_priority, network_id, .. } =
        std::mem::take(settings);
    *settings = EndpointSettings {
        ipam_config,
        aliases,
        driver_opts,
        gw_priority,
        network_id,
        ..EndpointSettings::default()
    };
}

/// Publishes what the container asks for; all of it or nothing.
fn publish_all(record: &Record, address: Ipv4Addr) -> Result<Vec<Published>, Error> {
    let host = &record.host_config;
    let mut wanted = Vec::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (number, protocol) = parse_port(port)?;
        for binding in bindings.iter().flatten() {
            let text = binding.host_ip.as_deref().filter(|text| !text.is_empty()).unwrap_or("0.0.0.0");
            let ip = text.parse().map_err(|_| Error::Invalid(format!("invalid IPv4 address: {text}")))?;
            let text = binding.host_port.as_deref().filter(|text| !text.is_empty()).unwrap_or("0");
            let outer =
                text.parse().map_err(|_| Error::Invalid(format!("invalid published port: {text}")))?;
            wanted.push((protocol, SocketAddrV4::new(ip, outer), number));
        }
    }
    if host.publish_all_ports == Some(true) {
        for port in record.config.exposed_ports.iter().flatten() {
            let (number, protocol) = parse_port(port)?;
            if !wanted.iter().any(|(other, _, inner)| (*other, *inner) == (protocol, number)) {
                wanted.push((protocol, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), number));
            }
        }
    }
    let mut done: Vec<Published> = Vec::new();
    for (protocol, host, port) in wanted {
        match publish::add(Published { protocol, host, target: SocketAddrV4::new(address, port) }) {
            Ok(published) => done.push(published),
            Err(error) => {
                for published in &done {
                    let _ = publish::remove(published);
                }
                return Err(failed(error));
            }
        }
    }
    Ok(done)
}

/// `80/tcp`.
fn parse_port(text: &str) -> Result<(u16, Protocol), Error> {
    let invalid = || Error::Invalid(format!("invalid port specification: {text}"));
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => return Err(Error::Unsupported("SCTP".to_owned())),
        _ => return Err(invalid()),
    };
    Ok((port.parse().map_err(|_| invalid())?, protocol))
}

/// Writes a file that a container may have bound: the same file, with other contents.
fn write_in_place(entry: &Entry, name: &str, text: &str) -> Result<(), Error> {
    std::fs::write(entry.folder.join(name), text).map_err(Error::system(format!("write `{name}`")))
}
