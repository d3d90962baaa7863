//! A machine's network card, and how QEMU connects it.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::Error;

/// A virtio network card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// What is at the other end of its cable.
    pub backend: Backend,
    /// Ports of this machine's loopback that lead to the guest (user networks only).
    pub forwards: Vec<Forward>,
}

/// What is at the other end of the cable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Backend {
    /// QEMU's user network: the guest is 10.0.2.15/24, the host and the way out are 10.0.2.2, names are at 10.0.2.3. No offloads.
    #[default]
    User,
    /// A tap interface of the host that is there already: needs privileges, has all offloads.
    Tap(String),
}

/// What a forwarded port carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port of the host's that leads to one of the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// What it carries.
    pub protocol: Protocol,
    /// The port on 127.0.0.1.
    pub host: u16,
    /// The port of the guest's.
    pub guest: u16,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// A port of 127.0.0.1 that nobody has at the moment.
    ///
    /// # Errors
    /// If there is none.
    pub fn free_port(self) -> Result<u16, Error> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let address = match self {
            Self::Tcp => TcpListener::bind(any).and_then(|socket| socket.local_addr()),
            Self::Udp => UdpSocket::bind(any).and_then(|socket| socket.local_addr()),
        };
        Ok(address.map_err(Error::system("find a free port"))?.port())
    }
}

impl Network {
    /// A user network with these ports, each with a free one of the host's, given back in their order.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn user(guest_ports: &[(Protocol, u16)]) -> Result<(Self, Vec<u16>), Error> {
        let forwards = guest_ports
            .iter()
            .map(|(protocol, guest)| {
                Ok(Forward { protocol: *protocol, host: protocol.free_port()?, guest: *guest })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let ports = forwards.iter().map(|forward| forward.host).collect();
        Ok((Self { backend: Backend::User, forwards }, ports))
    }

    /// QEMU's arguments.
    pub(crate) fn arguments(&self) -> [String; 4] {
        let backend = match &self.backend {
            Backend::User => {
                let forwards = self.forwards.iter().map(|forward| {
                    let Forward { protocol, host, guest } = forward;
                    format!(",hostfwd={}:127.0.0.1:{host}-:{guest}", protocol.name())
                });
                format!("user,id=net{}", forwards.collect::<String>())
            }
            Backend::Tap(name) => format!("tap,id=net,ifname={name},script=no,downscript=no"),
        };
        // No option ROM: nobody boots from it, and a file less is needed.
        let device = "virtio-net-pci,netdev=net,romfile=";
        ["-netdev".to_owned(), backend, "-device".to_owned(), device.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::{Forward, Network, Protocol};

    #[test]
    fn forwarded_ports_stay_on_loopback() {
        let forward = Forward { protocol: Protocol::Udp, host: 5300, guest: 53 };
        let network = Network { forwards: vec![forward], ..Network::default() };
        assert_eq!(network.arguments()[1], "user,id=net,hostfwd=udp:127.0.0.1:5300-:53");
    }
}
