//! The files by which a container knows itself and its name servers.

use runtime_network::files::Resolver;

use super::{dns, is_built_in};
use crate::container::entry::{Entry, Record};
use crate::container::host_name;
use crate::{Engine, Error};

impl Engine {
    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(entry: &Entry) -> Result<(), Error> {
        let hostname = runtime_network::files::hostname(&host_name(&entry.record()));
        write_in_place(entry, "hostname", &hostname)?;
        Self::write_hosts(entry)?;
        Self::write_resolv_conf(entry)
    }

    /// Writes /etc/hosts anew: the names that its user gave, and its own. Neighbours' are the name server's to tell.
    pub(super) fn write_hosts(entry: &Entry) -> Result<(), Error> {
        let text = hosts(&entry.record());
        write_in_place(entry, "hosts", &text)
    }

    /// Writes /etc/resolv.conf: the container's own name server, where it has one, which asks those that the user named, or the machine's.
    pub(super) fn write_resolv_conf(entry: &Entry) -> Result<(), Error> {
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let text = resolv_conf(&entry.record(), &machine);
        write_in_place(entry, "resolv.conf", &text)
    }
}

fn hosts(record: &Record) -> String {
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
    let addresses = record.endpoints.values().filter_map(|settings| settings.ip_address.clone());
    lines.extend(addresses.filter(|address| !address.is_empty()).map(|address| (address, own.clone())));
    runtime_network::files::hosts(
        lines.iter().map(|(address, names)| (address.as_str(), names.iter().map(String::as_str).collect())),
    )
}

fn resolv_conf(record: &Record, machine: &str) -> String {
    /// Every name may be a neighbour's, so none is looked for in other domains first.
    const DOTS: &str = "ndots:0";
    let host = &record.host_config;
    let wished = |wished: &Option<Vec<String>>| wished.clone().filter(|wished| !wished.is_empty());
    let mut resolver = Resolver::parse(machine);
    if let Some(servers) = wished(&host.dns) {
        resolver.servers = servers.iter().filter_map(|server| server.parse().ok()).collect();
    }
    if let Some(search) = wished(&host.dns_search) {
        // A dot alone is none at all.
        resolver.search = search.into_iter().filter(|domain| domain != ".").collect();
    }
    if let Some(options) = wished(&host.dns_options) {
        resolver.options = options;
    }
    if record.endpoints.keys().any(|network| !is_built_in(network)) {
        resolver.servers = vec![dns::ADDRESS];
        if !resolver.options.iter().any(|option| option.starts_with("ndots:")) {
            resolver.options.push(DOTS.to_owned());
        }
    }
    runtime_network::files::resolv_conf(&resolver)
}

/// Writes a file that a container may have bound: the same file, with other contents.
fn write_in_place(entry: &Entry, name: &str, text: &str) -> Result<(), Error> {
    std::fs::write(entry.folder.join(name), text).map_err(Error::system(format!("write `{name}`")))
}
