//! Network: host name, loopback, the link that leads outside, its address, name servers.

use std::fs;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runtime_config::Configuration;
use runtime_config::value::Address;
use runtime_network::dhcp::{Change, Client, Lease, Socket};
use runtime_network::files::{self, Resolver};
use runtime_network::machine;
use runtime_network::netlink::Link;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host::{PATIENCE, PAUSE};
use crate::error::Error;

/// How long the boot waits for a lease. It comes later, or not: the services start all the same.
const LEASE_PATIENCE: Duration = Duration::from_secs(15);

/// The machine's network, to be looked after.
#[derive(Debug)]
pub struct Network {
    resolver: Resolver,
    lease: Option<Leasing>,
}

/// An address that has to be renewed.
#[derive(Debug)]
struct Leasing {
    link: Link,
    socket: Socket,
    client: Client,
}

/// Only loopback: one container that shares the machine's network can talk to itself.
pub fn bring_up_loopback() -> Result<(), Error> {
    Ok(machine::loopback_up()?)
}

/// Does what the configuration says.
pub fn bring_up(configuration: &Configuration) -> Result<Network, Error> {
    let hostname = configuration.hostname.as_str();
    rustix::system::sethostname(hostname.as_bytes()).map_err(Error::system("set the host name"))?;
    write("hostname", &files::hostname(hostname))?;
    write("hosts", &files::hosts([("127.0.1.1", vec![hostname])]))?;
    machine::loopback_up()?;

    let wanted = &configuration.network;
    let resolver = Resolver {
        servers: wanted.dns.clone(),
        search: wanted.search.iter().map(ToString::to_string).collect(),
        options: Vec::new(),
    };
    let mut network = Network { resolver, lease: None };
    network.write_resolver(&[])?;

    let Some(link) = wait_for_link(wanted.interface.as_deref())? else {
        let name = wanted.interface.as_deref().unwrap_or("an Ethernet link");
        println!("coffer: there is no {name}; the machine has no network");
        return Ok(network);
    };
    match wanted.address {
        Address::Static(address) => {
            let gateway = wanted.gateway.as_ref().map(|gateway| *gateway.get_ref());
            machine::configure(&link, address, gateway)?;
            println!("coffer: {} has {address}", link.name);
        }
        Address::Dhcp => network.ask_for_lease(link)?,
    }
    Ok(network)
}

impl Network {
    /// What to poll for input, and when [`Self::tend`] is wanted at the latest.
    pub fn wanted(&self) -> Option<(PollFd<'_>, Instant)> {
        let leasing = self.lease.as_ref()?;
        Some((PollFd::new(&leasing.socket, PollFlags::IN), leasing.client.deadline()))
    }

    /// Renews a lease whose time has come, and applies what servers say. Never waits.
    pub fn tend(&mut self) -> Result<(), Error> {
        let Some(leasing) = &mut self.lease else { return Ok(()) };
        let old = leasing.client.lease().cloned();
        let changes = leasing.socket.drive(&mut leasing.client, Instant::now());
        let link = leasing.link.clone();
        let mut current = old;
        for change in changes {
            match change {
                Change::Bound(lease) => {
                    machine::apply(&link, &lease, current.as_ref())?;
                    println!(
                        "coffer: {} has {} for {} s",
                        link.name,
                        lease.address,
                        lease.duration.as_secs()
                    );
                    self.write_resolver(&lease.dns)?;
                    current = Some(lease);
                }
                Change::Lost(lease) => {
                    println!("coffer: {} has lost {}", link.name, lease.address);
                    machine::give_up(&link, &lease)?;
                    current = None;
                }
            }
        }
        Ok(())
    }

    fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()?.client.lease()
    }

    /// Starts the client and waits for its first lease, but not for ever.
    fn ask_for_lease(&mut self, link: Link) -> Result<(), Error> {
        let Some(mac) = link.mac else {
            println!("coffer: {} has no Ethernet address and gets no lease", link.name);
            return Ok(());
        };
        let start = Instant::now();
        let mut transaction = [0; 4];
        let _ = rustix::rand::getrandom(&mut transaction, rustix::rand::GetRandomFlags::empty());
        let client = Client::new(mac, u32::from_ne_bytes(transaction), start);
        let name = link.name.clone();
        self.lease = Some(Leasing { socket: Socket::open(&name)?, link, client });
        loop {
            self.tend()?;
            if self.lease().is_some() {
                return Ok(());
            }
            let Some(left) = LEASE_PATIENCE.checked_sub(start.elapsed()) else {
                println!("coffer: no DHCP server has answered on {name} yet");
                return Ok(());
            };
            let Some((socket, deadline)) = self.wanted() else { return Ok(()) };
            let left = left.min(deadline.saturating_duration_since(Instant::now()));
            // Interrupted, timed out or ready: looked at above.
            let _ = poll(&mut [socket], Timespec::try_from(left).ok().as_ref());
        }
    }

    /// Writes the configured name servers, or those of the lease.
    fn write_resolver(&self, leased: &[Ipv4Addr]) -> Result<(), Error> {
        let mut resolver = self.resolver.clone();
        if resolver.servers.is_empty() {
            resolver.servers = leased.to_vec();
        }
        write("resolv.conf", &files::resolv_conf(&resolver))
    }
}

/// The link, once its driver has found it.
fn wait_for_link(name: Option<&str>) -> Result<Option<Link>, Error> {
    let start = Instant::now();
    loop {
        let link = machine::uplink(name)?;
        if link.is_some() || start.elapsed() >= PATIENCE {
            return Ok(link);
        }
        sleep(PAUSE);
    }
}

/// Replaces a file in `/etc` as a whole, so that a reader finds the old one or the new one.
fn write(name: &str, text: &str) -> Result<(), Error> {
    let path = format!("/etc/{name}");
    let new = format!("{path}.new");
    fs::create_dir_all("/etc")
        .and_then(|()| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(Error::system(format!("write `{path}`")))
}
