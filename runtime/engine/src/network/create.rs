//! `docker network create`

use std::net::Ipv4Addr;

use runtime_network::{Ipv4Net, bridge, ipam, pool};

use super::failed;
use super::store::NetworkRecord;
use crate::engine::{blocking, random_id};
use crate::models::{NetworkCreateRequest, NetworkCreateResponse};
use crate::time::now;
use crate::{Engine, Error};

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

impl Engine {
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
        let mut used = self.inner.networks.subnets();
        used.extend(routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default()));
        let subnet = match parse::<Ipv4Net>(config.subnet, "subnet")? {
            Some(subnet) if used.iter().any(|other| pool::overlap(&subnet, other)) => {
                return Err(failed(runtime_network::Error::Overlap));
            }
            Some(subnet) => usable(subnet)?,
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
}

/// A subnet that has room for a gateway and a container, and whose addresses are those of hosts.
fn usable(subnet: Ipv4Net) -> Result<Ipv4Net, Error> {
    /// The longest prefix that leaves two addresses.
    const LONGEST: u8 = 30;
    let first = subnet.trunc().network();
    let is_for_hosts = first.octets()[0] != 0 && first.octets()[0] < 224 && !first.is_loopback();
    if is_for_hosts && subnet.prefix_len() > 0 && subnet.prefix_len() <= LONGEST {
        Ok(subnet.trunc())
    } else {
        Err(Error::Invalid(format!("invalid network: containers cannot have addresses of {subnet}")))
    }
}

/// Where the machine reaches others already, from the text of /proc/net/route; the default route is no place.
fn routes(text: &str) -> impl Iterator<Item = Ipv4Net> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        // In the byte order of x86, which numbers in memory have.
        let address =
            |text: &str| u32::from_str_radix(text, 16).ok().map(|it| Ipv4Addr::from(it.swap_bytes()));
        let (place, mask) = (address(fields.next()?)?, address(fields.nth(5)?)?);
        Ipv4Net::with_netmask(place, mask).ok().filter(|net| net.prefix_len() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_without_room_or_of_no_hosts_are_refused() {
        let judge = |text: &str| usable(text.parse().unwrap()).is_ok();
        assert!(["10.1.0.0/16", "192.168.7.0/30", "169.254.0.0/24"].into_iter().all(judge));
        for text in [
            "127.0.0.0/8",
            "10.0.0.0/31",
            "10.0.0.1/32",
            "224.0.0.0/8",
            "0.0.0.0/0",
            "0.1.0.0/16",
            "240.0.0.0/8",
        ] {
            assert!(!judge(text), "{text}");
        }
    }

    #[test]
    fn the_machine_s_own_routes_are_known() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(routes(text).collect::<Vec<_>>(), ["10.0.2.0/24".parse().unwrap()]);
    }
}
