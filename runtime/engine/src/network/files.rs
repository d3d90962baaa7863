//! The files by which a container knows itself, its neighbours and its name servers.

use super::BUILT_IN;
use crate::container::entry::{Entry, Record};
use crate::container::host_name;
use crate::{Engine, Error};

impl Engine {
    /// Writes /etc/hosts of every container with addresses anew: its own names, and those of its neighbours on networks that users made.
    pub(super) fn refresh_hosts(&self) {
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
            let is_built_in = BUILT_IN.iter().any(|(name, _)| name == network);
            let names =
                settings.dns_names.iter().flatten().filter(|name| !is_built_in && !own.contains(name));
            lines.push((address, own.iter().chain(names).cloned().collect()));
            if is_built_in {
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
}

/// Writes a file that a container may have bound: the same file, with other contents.
fn write_in_place(entry: &Entry, name: &str, text: &str) -> Result<(), Error> {
    std::fs::write(entry.folder.join(name), text).map_err(Error::system(format!("write `{name}`")))
}
