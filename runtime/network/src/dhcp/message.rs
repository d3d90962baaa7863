//! DHCP messages, to and from the client's own terms.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use super::Lease;
use crate::Mac;

/// Subnet mask, router, name servers: the options that are used (RFC 2132).
const WANTED: [u8; 3] = [1, 3, 6];

/// The largest message that is taken; every Ethernet carries it.
const MAX_SIZE: u16 = 1472;

/// A lease is counted as so long at least, so that a server cannot make the client spin.
const SHORTEST: Duration = Duration::from_secs(60);

/// What the client says.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Discover,
    /// Takes an offer.
    Request {
        address: Ipv4Addr,
        server: Ipv4Addr,
    },
    /// Asks to go on.
    Renew {
        address: Ipv4Addr,
    },
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Offer { address: Ipv4Addr, server: Ipv4Addr },
    Ack(Lease),
    Nak,
}

/// The bytes of a message of the client's.
pub fn emit(mac: Mac, transaction: u32, secs: u16, kind: Kind) -> Vec<u8> {
    let (message_type, client_ip, requested_ip, server_identifier) = match kind {
        Kind::Discover => (DhcpMessageType::Discover, Ipv4Addr::UNSPECIFIED, None, None),
        Kind::Request { address, server } => {
            (DhcpMessageType::Request, Ipv4Addr::UNSPECIFIED, Some(address), Some(server))
        }
        Kind::Renew { address } => (DhcpMessageType::Request, address, None, None),
    };
    let mac = EthernetAddress(mac.0);
    let message = DhcpRepr {
        message_type,
        transaction_id: transaction,
        secs,
        client_hardware_address: mac,
        client_ip,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        // The socket has no address of its own to which an answer could come.
        broadcast: client_ip.is_unspecified(),
        requested_ip,
        client_identifier: Some(mac),
        server_identifier,
        parameter_request_list: Some(&WANTED),
        dns_servers: None,
        max_size: Some(MAX_SIZE),
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; message.buffer_len()];
    // It fails where the buffer is too small, which is as long as the message says.
    let _ = message.emit(&mut DhcpPacket::new_unchecked(&mut bytes));
    bytes
}

/// What an answer to this client says, if it makes sense.
pub fn parse(bytes: &[u8], mac: Mac, transaction: u32) -> Option<Answer> {
    let packet = DhcpPacket::new_checked(bytes).ok()?;
    let message = DhcpRepr::parse(&packet).ok()?;
    if message.transaction_id != transaction || message.client_hardware_address.0 != mac.0 {
        return None;
    }
    let server = message.server_identifier?;
    match message.message_type {
        DhcpMessageType::Offer => {
            is_host(message.your_ip).then_some(Answer::Offer { address: message.your_ip, server })
        }
        DhcpMessageType::Ack => lease(&message, server).map(Answer::Ack),
        DhcpMessageType::Nak => Some(Answer::Nak),
        _ => None,
    }
}

fn lease(message: &DhcpRepr, server: Ipv4Addr) -> Option<Lease> {
    let mask = message.subnet_mask.unwrap_or(Ipv4Addr::new(255, 255, 255, 0));
    let address = Ipv4Net::with_netmask(message.your_ip, mask).ok().filter(|_| is_host(message.your_ip))?;
    let duration = Duration::from_secs(message.lease_duration?.into()).max(SHORTEST);
    let seconds = |value: Option<u32>| value.map(|value| Duration::from_secs(value.into()));
    // The usual parts of the time where the server says nothing sensible (RFC 2131, 4.4.5).
    let rebind = seconds(message.rebind_duration).filter(|time| *time < duration).unwrap_or(duration / 8 * 7);
    let renew =
        seconds(message.renew_duration).filter(|time| *time < rebind).unwrap_or(duration / 2).min(rebind);
    Some(Lease {
        address,
        gateway: message.router.filter(|router| address.contains(router) && *router != address.addr()),
        dns: message.dns_servers.iter().flatten().copied().filter(|server| is_host(*server)).collect(),
        server,
        duration,
        renew: renew.max(SHORTEST / 2),
        rebind,
    })
}

fn is_host(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast() && !address.is_loopback()
}
