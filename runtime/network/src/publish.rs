//! Published ports: what arrives at the machine's port goes to a container's.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::nat::{self, Change};

/// The protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub protocol: Protocol,
    /// Where it arrives; 0.0.0.0 is every address of the machine's.
    pub host: SocketAddrV4,
    /// The container's address and port.
    pub target: SocketAddrV4,
}

/// How many free ports are tried before giving up: each may be taken in the moment after it was found.
const ATTEMPTS: usize = 16;

static ADDING: Mutex<()> = Mutex::new(());

/// Publishes a port. The host's port 0 becomes a free one, which the value tells.
///
/// # Errors
/// [`Error::PortInUse`] when a program of the machine or another container has it, [`Error::NoNat`].
pub fn add(published: Published) -> Result<Published, Error> {
    // Between looking at the rules and adding one, nobody else may.
    let _adding = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
    let wants_any = published.host.port() == 0;
    for _ in 0..if wants_any { ATTEMPTS } else { 1 } {
        let port = reserve(published.protocol, published.host)?;
        let host = SocketAddrV4::new(*published.host.ip(), port);
        let published = Published { host, ..published };
        // To the kernel, the same port with another target is another rule.
        if is_published(&published)? {
            if wants_any {
                continue;
            }
            return Err(Error::PortInUse(host));
        }
        match nat::add(&rule(&published))? {
            Change::Done => return Ok(published),
            Change::Nothing if wants_any => {}
            Change::Nothing => return Err(Error::PortInUse(host)),
            Change::Unsupported => return Err(Error::NoNat),
        }
    }
    Err(Error::PortInUse(published.host))
}

/// Takes a publication back. One that is gone is fine.
///
/// # Errors
/// What the kernel says.
pub fn remove(published: &Published) -> Result<(), Error> {
    nat::remove(&rule(published)).map(|_| ())
}

fn rule(published: &Published) -> String {
    let Published { protocol, host, target } = published;
    format!("publish {protocol} {host} {target}")
}

/// Whether any rule has that port already: of the same address or of all.
fn is_published(wanted: &Published) -> Result<bool, Error> {
    let rules = nat::rules()?.unwrap_or_default();
    Ok(rules.iter().any(|rule| is_conflict(rule, wanted)))
}

fn is_conflict(rule: &str, wanted: &Published) -> bool {
    let mut words = rule.split_ascii_whitespace();
    let (Some("publish"), Some(protocol), Some(host)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Ok(host) = host.parse::<SocketAddrV4>() else { return false };
    let is_any = |address: &Ipv4Addr| address.is_unspecified();
    protocol == wanted.protocol.to_string()
        && host.port() == wanted.host.port()
        && (host.ip() == wanted.host.ip() || is_any(host.ip()) || is_any(wanted.host.ip()))
}

/// Finds out whether a program of the machine has the port, by binding it for a moment; gives the port, which is a free one
/// where it was 0.
fn reserve(protocol: Protocol, host: SocketAddrV4) -> Result<u16, Error> {
    let bound: io::Result<_> = match protocol {
        Protocol::Tcp => TcpListener::bind(host).and_then(|socket| socket.local_addr()),
        Protocol::Udp => UdpSocket::bind(host).and_then(|socket| socket.local_addr()),
    };
    match bound {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(Error::PortInUse(host)),
        Err(error) => Err(Error::system(format!("publish {host}"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(host: &str) -> Published {
        let target = "172.17.0.2:80".parse().unwrap();
        Published { protocol: Protocol::Tcp, host: host.parse().unwrap(), target }
    }

    #[test]
    fn rules_have_the_kernels_form() {
        let text = rule(&published("0.0.0.0:8080"));
        assert_eq!(text, "publish tcp 0.0.0.0:8080 172.17.0.2:80");
    }

    #[test]
    fn all_addresses_conflict_with_each() {
        let rule = "publish tcp 10.0.2.15:8080 172.17.0.3:80";
        assert!(is_conflict(rule, &published("10.0.2.15:8080")));
        assert!(is_conflict(rule, &published("0.0.0.0:8080")));
        assert!(!is_conflict(rule, &published("127.0.0.1:8080")));
        assert!(!is_conflict(rule, &published("10.0.2.15:8081")));
        assert!(!is_conflict("drop a b", &published("10.0.2.15:8080")));
        assert!(!is_conflict(&rule.replace("tcp", "udp"), &published("10.0.2.15:8080")));
    }

    #[test]
    fn a_port_that_a_program_has_is_not_published() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = taken.local_addr().unwrap().to_string();
        assert!(matches!(add(published(&host)), Err(Error::PortInUse(_))));
    }
}
