//! What connects a running container: links, addresses, published ports.

use std::net::Ipv4Addr;
use std::sync::Arc;

use runtime_network::endpoint::Endpoint;
use runtime_network::publish::Published;
use runtime_network::{bridge, endpoint, ipam, publish};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::mode::Mode;
use super::publish::publish_all;
use super::{dns, failed};
use crate::container::entry::{Entry, Record};
use crate::engine::{blocking, random_id};
use crate::models::{EndpointSettings, PortBinding};
use crate::{Engine, Error};

/// What connects a running container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    pub(super) network: String,
    /// The machine's end.
    pub(super) name: String,
    pub(super) published: Vec<Published>,
    /// The number in the name of the container's end.
    pub(super) number: usize,
    pub(super) has_default_route: bool,
}

impl Engine {
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
        let (engine, entry, connected) = (self.clone(), Arc::clone(entry), entry);
        blocking(move || {
            for (number, name) in names.iter().enumerate() {
                engine.connect_one(&entry, pid, name, number)?;
            }
            Self::write_hosts(&entry)
        })
        .await?;
        self.serve_names(connected, pid)
    }

    pub(super) fn connect_one(
        &self,
        entry: &Entry,
        pid: Pid,
        name: &str,
        number: usize,
    ) -> Result<(), Error> {
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
        let links = entry.record().links.clone();
        place.has_default_route = !net.is_internal && !links.iter().any(|link| link.has_default_route);
        let link = endpoint::attach(net, &place, pid).map_err(failed)?;
        let published = if links.iter().all(|link| link.published.is_empty()) {
            publish_all(&entry.record().clone(), address)
        } else {
            Ok(Vec::new())
        };
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                // The first error is the one to tell.
                let _ = endpoint::detach(&link);
                return Err(error);
            }
        };
        let id = random_id()?;
        settings.dns_names = Some(dns::names(&entry.record(), name));
        settings.network_id = Some(network.id.clone());
        settings.endpoint_id = Some(id);
        settings.gateway = Some(if net.is_internal { String::new() } else { net.gateway.to_string() });
        settings.ip_address = Some(address.to_string());
        settings.ip_prefix_len = Some(net.subnet.prefix_len().into());
        settings.mac_address = Some(place.mac.to_string());
        entry.change(|record| {
            show_ports(record, &published);
            record.endpoints.insert(network.name.clone(), settings);
            let (network, has_default_route) = (network.name.clone(), place.has_default_route);
            record.links.push(Link { network, name: link, published, number, has_default_route });
        })?;
        self.tell_network(&network, "connect", Some(&entry.id));
        Ok(())
    }

    /// Takes away what connects a container that has ended.
    pub(crate) async fn disconnect_networks(&self, entry: &Arc<Entry>) {
        Self::stop_names(entry);
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
            Ok(())
        });
        if let Err(error) = done.await {
            eprintln!("engine: {error}");
        }
    }

    pub(super) fn take_away(&self, link: &Link, container: &str) {
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

    /// Gives what the links had that a running container has lost to one that it still has: published ports and the way outside.
    pub(super) fn hand_over(&self, entry: &Entry, lost: &[Link], pid: Pid) -> Result<(), Error> {
        let record = entry.record().clone();
        let mut left: Vec<Link> = record.links.clone();
        left.sort_by_key(|link| link.number);
        let networks = left.iter().map(|link| self.inner.networks.find(&link.network).map(|it| it.bridge));
        let networks = networks.collect::<Result<Vec<_>, _>>()?;
        let candidates = left.iter().zip(&networks).filter_map(|(link, net)| Some((link, net.as_ref()?)));
        let Some((heir, net)) = candidates.min_by_key(|(_, net)| net.is_internal) else { return Ok(()) };
        let takes_route = lost.iter().any(|link| link.has_default_route) && !net.is_internal;
        if takes_route {
            endpoint::route_by(net, &format!("eth{}", heir.number), pid).map_err(failed)?;
        }
        let has_published = lost.iter().any(|link| !link.published.is_empty());
        let settings = record.endpoints.get(&heir.network);
        let address = settings.and_then(|settings| settings.ip_address.as_deref()?.parse().ok());
        let published = match address.filter(|_| has_published) {
            Some(address) => publish_all(&record, address)?,
            None => Vec::new(),
        };
        entry.change(|record| {
            show_ports(record, &published);
            if let Some(link) = record.links.iter_mut().find(|link| link.name == heir.name) {
                link.has_default_route |= takes_route;
                link.published.extend(published);
            }
        })
    }

    /// The addresses that containers have on a network.
    fn addresses(&self, network: &str) -> Vec<Ipv4Addr> {
        let address = |entry: &Arc<Entry>| {
            let record = entry.record();
            record.endpoints.get(network).and_then(|it| it.ip_address.as_deref()?.parse().ok())
        };
        self.all().iter().filter_map(address).collect()
    }
}

/// Adds to what `docker port` shows.
fn show_ports(record: &mut Record, published: &[Published]) {
    for it in published {
        let binding = PortBinding {
            host_ip: Some(it.host.ip().to_string()),
            host_port: Some(it.host.port().to_string()),
        };
        let key = format!("{}/{}", it.target.port(), it.protocol);
        record.ports.entry(key).or_default().get_or_insert_default().push(binding);
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
