//! Published ports, as a container asks for them.

use std::net::{Ipv4Addr, SocketAddrV4};

use runtime_network::publish;
use runtime_network::publish::{Protocol, Published};

use super::failed;
use crate::Error;
use crate::container::entry::Record;

/// Publishes what the container asks for; all of it or nothing.
pub(super) fn publish_all(record: &Record, address: Ipv4Addr) -> Result<Vec<Published>, Error> {
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
pub(super) fn parse_port(text: &str) -> Result<(u16, Protocol), Error> {
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
