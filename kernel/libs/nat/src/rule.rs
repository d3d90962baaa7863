//! Rules and their text form.

use crate::tuple::{Endpoint, Protocol};
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;
use smoltcp::wire::Ipv4Cidr;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `masquerade SOURCE/PREFIX !LINK`: what comes from there and leaves by another link gets that link's address.
    Masquerade {
        /// From there.
        source: Ipv4Cidr,
        /// Not by this link.
        except: String,
    },
    /// `publish tcp|udp ADDRESS:PORT TARGET:PORT`: what is for the one goes to the other.
    Publish {
        /// TCP or UDP.
        protocol: Protocol,
        /// 0.0.0.0 stands for all of this machine's addresses.
        address: Endpoint,
        /// Where it goes.
        target: Endpoint,
    },
    /// `drop LINK LINK`: nothing is forwarded from the first to the second.
    Drop {
        /// In by this.
        from: String,
        /// Out by that.
        to: String,
    },
}

/// A line that is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRule;

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(line: &str) -> Result<Self, BadRule> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().ok_or(BadRule);
        let rule = match word()? {
            "masquerade" => {
                let source = cidr(word()?)?;
                let except = link(word()?.strip_prefix('!').ok_or(BadRule)?)?;
                Self::Masquerade { source, except }
            }
            "publish" => {
                let protocol = match word()? {
                    "tcp" => Protocol::Tcp,
                    "udp" => Protocol::Udp,
                    _ => return Err(BadRule),
                };
                let (address, target) = (endpoint(word()?)?, endpoint(word()?)?);
                if target.address.is_unspecified() || target.address.is_loopback() {
                    return Err(BadRule);
                }
                Self::Publish { protocol, address, target }
            }
            "drop" => Self::Drop { from: link(word()?)?, to: link(word()?)? },
            _ => return Err(BadRule),
        };
        if words.next().is_none() { Ok(rule) } else { Err(BadRule) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade { source, except } => write!(f, "masquerade {source} !{except}"),
            Self::Publish { protocol, address, target } => {
                let protocol = if *protocol == Protocol::Udp { "udp" } else { "tcp" };
                write!(f, "publish {protocol} {address} {target}")
            }
            Self::Drop { from, to } => write!(f, "drop {from} {to}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

fn endpoint(text: &str) -> Result<Endpoint, BadRule> {
    let (address, port) = text.split_once(':').ok_or(BadRule)?;
    let address: Ipv4Addr = address.parse().map_err(|_| BadRule)?;
    let port: u16 = port.parse().map_err(|_| BadRule)?;
    if port == 0 { Err(BadRule) } else { Ok(Endpoint { address, port }) }
}

fn cidr(text: &str) -> Result<Ipv4Cidr, BadRule> {
    let (address, len) = text.split_once('/').ok_or(BadRule)?;
    let len: u8 = len.parse().map_err(|_| BadRule)?;
    if len > 32 {
        return Err(BadRule);
    }
    Ok(Ipv4Cidr::new(address.parse().map_err(|_| BadRule)?, len).network())
}

/// A link's name (netdevice(7)).
fn link(text: &str) -> Result<String, BadRule> {
    let is_good = (1..16).contains(&text.len()) && !text.contains(['/', ':', '!']);
    if is_good { Ok(text.to_owned()) } else { Err(BadRule) }
}
