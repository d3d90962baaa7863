//! `docker network create`

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
}
