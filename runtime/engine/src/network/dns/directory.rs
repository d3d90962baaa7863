//! What a container may know by name: its neighbours on the networks that it is on and that users made.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Engine;
use crate::container::entry::Record;
use crate::container::host_name;
use crate::network::is_built_in;

/// Port of name servers.
const PORT: u16 = 53;

/// The names that a container may ask for.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Neighbour>,
    /// Whether the container has no way outside, so that nobody else is asked for it either.
    pub is_cut_off: bool,
}

/// A container, or the one that asks, on one network.
#[derive(Debug)]
struct Neighbour {
    network: String,
    address: Ipv4Addr,
    /// The first is what its address is called.
    names: Vec<String>,
}

impl Directory {
    /// The addresses of `name`, `name.network` too, in any case. None when nobody has it.
    pub fn addresses(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        let has = |neighbour: &Neighbour, name: &str| {
            neighbour.names.iter().any(|theirs| theirs.eq_ignore_ascii_case(name))
        };
        let is_called = |neighbour: &&Neighbour| {
            let short =
                name.len().checked_sub(neighbour.network.len()).and_then(|at| name.split_at_checked(at));
            let short = short.filter(|(_, end)| end.eq_ignore_ascii_case(&neighbour.network));
            let short = short.and_then(|(start, _)| start.strip_suffix('.'));
            has(neighbour, name) || short.is_some_and(|short| has(neighbour, short))
        };
        let found: Vec<Ipv4Addr> = self.entries.iter().filter(is_called).map(|it| it.address).collect();
        (!found.is_empty()).then_some(found)
    }

    /// What an address is called.
    pub fn name(&self, address: Ipv4Addr) -> Option<String> {
        let neighbour = self.entries.iter().find(|neighbour| neighbour.address == address)?;
        Some(format!("{}.{}", neighbour.names.first()?, neighbour.network))
    }
}

impl Engine {
    /// Looks around a container.
    pub(super) fn neighbours(&self, container: &str) -> Directory {
        let Ok(own) = self.find(container) else { return Directory::default() };
        let (networks, is_cut_off) = {
            let record = own.record();
            let named = record.endpoints.keys().filter(|network| !is_built_in(network));
            let networks: Vec<String> = named.cloned().collect();
            (networks, !record.links.iter().any(|link| link.has_default_route))
        };
        let mut entries = Vec::new();
        for entry in self.all() {
            let record = entry.record();
            for network in &networks {
                let settings = record.endpoints.get(network);
                let address = settings.and_then(|settings| settings.ip_address.as_deref()?.parse().ok());
                if let Some(address) = address {
                    entries.push(Neighbour {
                        network: network.clone(),
                        address,
                        names: names(&record, network),
                    });
                }
            }
        }
        Directory { entries, is_cut_off }
    }

    /// The name servers that a container asked for, or the machine's.
    pub(super) fn name_servers(&self, container: &str) -> Vec<SocketAddr> {
        let wished = self.find(container).ok().and_then(|entry| entry.record().host_config.dns.clone());
        let wished = wished.filter(|wished| !wished.is_empty());
        let servers: Vec<Ipv4Addr> = match wished {
            Some(wished) => wished.iter().filter_map(|text| text.parse().ok()).collect(),
            None => {
                let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
                runtime_network::files::Resolver::parse(&text).servers
            }
        };
        servers.into_iter().map(|address| SocketAddr::from((address, PORT))).collect()
    }
}

/// What a container is called on a network: its name first.
pub fn names(record: &Record, network: &str) -> Vec<String> {
    let aliases =
        record.endpoints.get(network).and_then(|settings| settings.aliases.clone()).unwrap_or_default();
    let mut names = vec![record.name.clone(), record.id.chars().take(12).collect(), host_name(record)];
    names.extend(aliases);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

#[cfg(test)]
impl Directory {
    /// One of these, for tests of others.
    pub fn of(entries: &[(&str, [u8; 4], &[&str])]) -> Self {
        let entry = |(network, address, names): &(&str, [u8; 4], &[&str])| Neighbour {
            network: (*network).to_owned(),
            address: (*address).into(),
            names: names.iter().map(ToString::to_string).collect(),
        };
        Self { entries: entries.iter().map(entry).collect(), is_cut_off: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_found_by_all_their_names() {
        let directory = Directory::of(&[
            ("front", [10, 0, 0, 2], &["web", "0123456789ab", "www"]),
            ("back.end", [10, 0, 1, 2], &["db"]),
            ("front", [10, 0, 0, 3], &["other", "www"]),
        ]);
        let found = |name: &str| directory.addresses(name).unwrap_or_default().len();
        assert_eq!(
            [found("web"), found("WEB"), found("web.front"), found("www"), found("www.FRONT")],
            [1, 1, 1, 2, 2]
        );
        assert_eq!(directory.addresses("db.back.end").unwrap(), [Ipv4Addr::new(10, 0, 1, 2)]);
        for unknown in ["", "front", ".front", "db.front", "we", "xweb", "web.", "é.front"] {
            assert_eq!(directory.addresses(unknown), None, "{unknown}");
        }
        assert_eq!(directory.name(Ipv4Addr::new(10, 0, 0, 3)).as_deref(), Some("other.front"));
        assert_eq!(directory.name(Ipv4Addr::new(10, 0, 0, 9)), None);
    }
}
