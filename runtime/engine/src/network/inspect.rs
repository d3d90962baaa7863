//! `docker network inspect`

use std::collections::HashMap;

use super::store::NetworkRecord;
use crate::models::{EndpointResource, Ipam, IpamConfig, NetworkInspect};
use crate::{Engine, Error};

impl Engine {
    /// Tells about one, found by name, id or unique start of an id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNetwork`].
    pub async fn network_inspect(&self, name: &str) -> Result<NetworkInspect, Error> {
        Ok(self.describe_network(&self.inner.networks.find(name)?))
    }

    pub(super) fn describe_network(&self, network: &NetworkRecord) -> NetworkInspect {
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
}
