//! Network namespaces (network_namespaces(7)): [`NetNs`] is what everything else in [`super`] hangs on.
//!
//! # For those who build on it
//!
//! * [`NetNs::current`] is the namespace of the calling process; a socket keeps the one that it was made in.
//! * [`NetNs::route`] says how to get somewhere: link, source address, gateway, MTU. A [`Route`] may be kept until [`NetNs::generation`]
//!   moves. [`NetNs::is_local`] says whether an address is this machine's.
//! * Sending: make a [`Packet`](super::packet::Packet) of the transport's header and payload, then [`NetNs::send`] with a
//!   [`Header`](super::ip::Header); or, with its IP header already there, [`NetNs::send_ip`]. Both are called in task context with **no lock
//!   held** that a receiver might want: the packet may be delivered, and answered, before they return. Timers fire in interrupts:
//!   let them wake a task or use `crate::time::alarm`.
//! * Receiving: [`super::ip::protocol`] has one arm for each protocol, and one for ICMP errors.
//! * Changing: everything that changes links, addresses or routes wants a [`Configuration`], from [`configure`]: changes of the whole
//!   machine go one after the other, and one request of several steps is not interrupted. [`super::event`] tells of each change.
//!
//! Locks, outside in: [`Configuration`] (sleeps), then a namespace's tables (spins, for a look-up or one change), then those of links.

use super::backlog::Backlog;
use super::event::{self, Event};
use super::inet;
use super::ip::address::{IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY};
use super::ip::icmp::RateLimit;
use super::ip::path_mtu::PathMtus;
use super::ip::reassembly;
use super::ip::route::RTPROT_KERNEL;
use super::ip::{Address, Hints, Route, RouteEntry, RouteKind, Scope};
use super::link::{Link, NAME_LEN, flags, loopback, neighbour};
use super::nat::{self, Nat};
use super::netlink;
use super::packet_socket;
use super::settings::Settings;
use super::{teardown, timers};
use crate::error::{Errno, Error, Result};
use crate::process::namespace::NamespaceId;
use crate::process::namespace::user::UserNamespace;
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_fragments::Assembler;
use coffer_prefix_map::PrefixMap;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::{Lazy, Mutex, MutexGuard, SpinLock};
use smoltcp::wire::Ipv4Cidr;

/// The number that Linux gives its initial network namespace.
const INITIAL_ID: NamespaceId = NamespaceId(0xefff_fff9);
/// Links, addresses and routes of one namespace at most: user space makes them, the kernel keeps them.
const MAX_LINKS: usize = 4096;
const MAX_ADDRESSES: usize = 4096;
const MAX_ROUTES: usize = 65536;

/// A network namespace.
#[derive(Debug)]
pub struct NetNs {
    id: NamespaceId,
    loopback: Arc<Link>,
    owner: Arc<UserNamespace>,
    tables: SpinLock<Tables>,
    generation: AtomicU64,
    backlog: Backlog,
    path_mtus: PathMtus,
    /// Datagrams that are not whole yet.
    pub(super) fragments: SpinLock<Assembler>,
    /// Rules and flows of address translation.
    pub(super) nat: Nat,
    /// How many ICMP errors it may send.
    pub(super) icmp_limit: RateLimit,
    /// /proc/sys/net.
    pub settings: Settings,
    /// What the sockets of AF_INET share.
    pub inet: inet::Tables,
    /// Netlink's ports and groups.
    pub netlink: netlink::Hub,
    /// Packet sockets.
    pub packet_sockets: packet_socket::Tables,
}

#[derive(Debug, Default)]
struct Tables {
    links: BTreeMap<u32, Arc<Link>>,
    last_index: u32,
    addresses: Vec<Address>,
    routes: PrefixMap<RouteEntry>,
}

/// The right to change links, addresses and routes, of whatever namespace; one at a time.
#[derive(Debug)]
pub struct Configuration {
    _alone: MutexGuard<'static, ()>,
}

/// Waits until nobody else changes anything.
pub fn configure() -> Configuration {
    static ALONE: Mutex<()> = Mutex::new(());
    Configuration { _alone: ALONE.lock() }
}

static INITIAL: Lazy<Arc<NetNs>> = Lazy::new(|| NetNs::with_id(INITIAL_ID, UserNamespace::initial()));

impl NetNs {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new one, with a loopback link that is down.
    ///
    /// # Errors
    /// ENOMEM when memory is short.
    pub fn new(owner: &Arc<UserNamespace>) -> Result<Arc<Self>> {
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        Ok(Self::with_id(NamespaceId::allocate(), owner))
    }

    fn with_id(id: NamespaceId, owner: &Arc<UserNamespace>) -> Arc<Self> {
        let loopback = loopback::new();
        loopback.set_index(1);
        let tables =
            Tables { links: BTreeMap::from([(1, loopback.clone())]), last_index: 1, ..Tables::default() };
        Arc::new_cyclic(|this| {
            loopback.set_namespace(Weak::clone(this));
            timers::register(this);
            Self {
                id,
                loopback,
                owner: owner.clone(),
                tables: SpinLock::new(tables),
                generation: AtomicU64::new(0),
                backlog: Backlog::default(),
                path_mtus: PathMtus::default(),
                fragments: SpinLock::new(reassembly::none()),
                nat: Nat::default(),
                icmp_limit: RateLimit::default(),
                settings: Settings::default(),
                inet: inet::Tables::default(),
                netlink: netlink::Hub::default(),
                packet_sockets: packet_socket::Tables::default(),
            }
        })
    }

    /// That of the calling thread.
    ///
    /// # Errors
    /// ESRCH for a thread that is at its end.
    pub fn current() -> Result<Arc<Self>> {
        Ok(Thread::current().ok_or(Errno::ESRCH)?.namespaces()?.net.clone())
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Its number for /proc/PID/ns/net.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Moves with each change of links, addresses and routes: routes looked up before are to be looked up again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Does what a second's passing calls for; `true`: there will be more.
    pub(super) fn tick(self: &Arc<Self>) -> bool {
        let is_reassembling = reassembly::tick(self);
        nat::tick(self) || is_reassembling
    }

    fn change<R>(&self, change: impl FnOnce(&mut Tables) -> R) -> R {
        let result = change(&mut self.tables.lock());
        self.generation.fetch_add(1, Ordering::Release);
        result
    }
}

/// Links.
impl NetNs {
    /// `lo`.
    pub fn loopback(&self) -> &Arc<Link> {
        &self.loopback
    }

    /// All, by index.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.tables.lock().links.values().cloned().collect()
    }

    /// By index.
    pub fn link(&self, index: u32) -> Option<Arc<Link>> {
        self.tables.lock().links.get(&index).cloned()
    }

    /// By name.
    pub fn link_by_name(&self, name: &str) -> Option<Arc<Link>> {
        self.tables.lock().links.values().find(|link| link.has_name(name)).cloned()
    }

    /// A name that is free here: `name` itself, or with `%d` in it the first number that is.
    ///
    /// # Errors
    /// EINVAL for what cannot be a name, EEXIST, ENFILE.
    pub fn free_name(&self, name: &str) -> Result<String> {
        check_name(name)?;
        let Some((front, back)) = name.split_once("%d") else {
            let is_taken = self.link_by_name(name).is_some();
            return if is_taken { Err(Errno::EEXIST.into()) } else { Ok(name.to_string()) };
        };
        let numbered = (0..MAX_LINKS).map(|number| format!("{front}{number}{back}"));
        let name = numbered.into_iter().find(|name| self.link_by_name(name).is_none());
        let name = name.ok_or(Errno::ENFILE)?;
        check_name(&name)?;
        Ok(name)
    }

    /// Puts a link here, under its own name, with `index` if that is free.
    ///
    /// # Errors
    /// EEXIST, ENOSPC, EBUSY for an index that is taken.
    pub fn add_link(
        self: &Arc<Self>,
        configuration: &Configuration,
        link: &Arc<Link>,
        index: Option<u32>,
    ) -> Result<()> {
        if self.link_by_name(&link.name()).is_some() {
            return Err(Errno::EEXIST.into());
        }
        self.change(|tables| {
            if tables.links.len() >= MAX_LINKS {
                return Err(Error::with(Errno::ENOSPC, "too many links"));
            }
            let index = match index.filter(|index| *index > 0) {
                Some(index) if tables.links.contains_key(&index) => return Err(Errno::EBUSY.into()),
                Some(index) => index,
                None => tables.next_index()?,
            };
            link.set_index(index);
            link.set_namespace(Arc::downgrade(self));
            tables.links.insert(index, link.clone());
            Ok(())
        })?;
        self.announce(configuration, &Event::LinkChanged(link));
        Ok(())
    }

    /// Takes a link out, with its addresses and routes. The loopback link stays.
    pub fn remove_link(self: &Arc<Self>, configuration: &Configuration, link: &Arc<Link>) {
        if link.is_loopback() {
            return;
        }
        self.set_link_flags(configuration, link, 0, flags::IFF_UP);
        for address in self.addresses_of(link.index()) {
            let _ = self.remove_address(configuration, link.index(), address.cidr);
        }
        self.change(|tables| tables.links.remove(&link.index()));
        self.announce(configuration, &Event::LinkGone(link));
        link.set_namespace(Weak::new());
    }

    /// Renames a link.
    ///
    /// # Errors
    /// As [`Self::free_name`].
    pub fn rename_link(
        self: &Arc<Self>,
        configuration: &Configuration,
        link: &Arc<Link>,
        name: &str,
    ) -> Result<()> {
        if link.has_name(name) {
            return Ok(());
        }
        link.set_name(self.free_name(name)?);
        self.announce(configuration, &Event::LinkChanged(link));
        Ok(())
    }

    /// Changes a link's flags: those of `mask` become `value`'s. Up brings the routes to the networks of its addresses, down takes all
    /// routes by it away.
    pub fn set_link_flags(
        self: &Arc<Self>,
        configuration: &Configuration,
        link: &Arc<Link>,
        value: u32,
        mask: u32,
    ) {
        const CHANGEABLE: u32 = flags::IFF_UP
            | flags::IFF_NOARP
            | flags::IFF_PROMISC
            | flags::IFF_ALLMULTI
            | flags::IFF_MULTICAST;
        let mask = mask & CHANGEABLE;
        let old = link.change_flags(value, mask);
        let changed = (old ^ value) & mask;
        if changed == 0 {
            return;
        }
        link.note_flags(changed);
        self.change(|_| ());
        if changed & flags::IFF_UP != 0 {
            if value & flags::IFF_UP != 0 { self.on_up(configuration, link) } else { self.on_down(link) }
        }
        self.announce(configuration, &Event::LinkChanged(link));
        // The other end of a cable sees its carrier come and go.
        if changed & flags::IFF_UP != 0
            && let Some(peer) = link.peer()
            && let Some(namespace) = peer.namespace()
        {
            namespace.note_link_change(configuration, &peer);
        }
    }

    /// Says that a link is not as it was.
    pub fn note_link_change(self: &Arc<Self>, configuration: &Configuration, link: &Arc<Link>) {
        self.change(|_| ());
        self.announce(configuration, &Event::LinkChanged(link));
    }

    fn on_up(self: &Arc<Self>, configuration: &Configuration, link: &Arc<Link>) {
        if link.is_loopback() && self.addresses_of(link.index()).is_empty() {
            let address = Address::new(link.index(), link.name(), Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8));
            // It fails only where there is no room for one more.
            let _ = self.add_address(configuration, address);
        }
        for address in self.addresses_of(link.index()) {
            self.add_network_route(configuration, &address);
            neighbour::announce(link, address.address());
        }
    }

    fn on_down(self: &Arc<Self>, link: &Link) {
        // As on Linux, nobody is told of each: the link's own news says it.
        let routes = self.change(|tables| tables.routes.extract(|_, _, route| route.link == link.index()));
        drop(routes);
    }
}

/// Addresses.
impl NetNs {
    /// All.
    pub fn addresses(&self) -> Vec<Address> {
        self.tables.lock().addresses.clone()
    }

    /// Those of one link.
    pub fn addresses_of(&self, link: u32) -> Vec<Address> {
        self.tables.lock().addresses.iter().filter(|address| address.link == link).cloned().collect()
    }

    /// Whether `address` is this machine's, and its link up.
    pub fn is_local(&self, address: Ipv4Addr) -> bool {
        self.tables.lock().is_local(address)
    }

    /// Gives a link an address.
    ///
    /// # Errors
    /// EEXIST, ENODEV, ENOBUFS, EINVAL.
    pub fn add_address(self: &Arc<Self>, configuration: &Configuration, mut address: Address) -> Result<()> {
        let link = self.link(address.link).ok_or(Errno::ENODEV)?;
        if address.address().is_unspecified() || address.address().is_multicast() {
            return Err(Errno::EINVAL.into());
        }
        self.change(|tables| {
            if tables.addresses.len() >= MAX_ADDRESSES {
                return Err(Error::with(Errno::ENOBUFS, "too many addresses"));
            }
            let of_link = || tables.addresses.iter().filter(|other| other.link == address.link);
            if of_link().any(|other| other.cidr == address.cidr) {
                return Err(Errno::EEXIST.into());
            }
            let has_primary = of_link()
                .any(|other| other.flags & IFA_F_SECONDARY == 0 && other.network() == address.network());
            address.flags &= !IFA_F_SECONDARY;
            if has_primary {
                address.flags |= IFA_F_SECONDARY;
            }
            tables.addresses.push(address.clone());
            Ok(())
        })?;
        self.announce(configuration, &Event::AddressAdded(&address));
        if link.is_up() {
            self.add_network_route(configuration, &address);
            neighbour::announce(&link, address.address());
        }
        Ok(())
    }

    /// Takes an address away, with the route to its network, and, as long as nobody asked otherwise (`promote_secondaries`), the others of
    /// that network.
    ///
    /// # Errors
    /// EADDRNOTAVAIL.
    pub fn remove_address(
        self: &Arc<Self>,
        configuration: &Configuration,
        link: u32,
        cidr: Ipv4Cidr,
    ) -> Result<()> {
        let gone = self.change(|tables| {
            let is_it = |address: &Address| address.link == link && address.cidr == cidr;
            let at = tables.addresses.iter().position(is_it).ok_or(Errno::EADDRNOTAVAIL)?;
            let first = tables.addresses.remove(at);
            let network = first.network();
            let is_primary = first.flags & IFA_F_SECONDARY == 0;
            let mut gone = alloc::vec![first];
            if is_primary {
                let (of_network, others) = core::mem::take(&mut tables.addresses)
                    .into_iter()
                    .partition(|address| address.link == link && address.network() == network);
                tables.addresses = others;
                gone.extend::<Vec<_>>(of_network);
            }
            Ok::<_, Error>(gone)
        })?;
        for address in &gone {
            self.announce(configuration, &Event::AddressRemoved(address));
        }
        let is_stale = |route: &RouteEntry| {
            route.link == link && gone.iter().any(|address| route.source == Some(address.address()))
        };
        let routes = self.change(|tables| tables.routes.extract(|_, _, route| is_stale(route)));
        for route in &routes {
            self.announce(configuration, &Event::RouteRemoved(route));
        }
        Ok(())
    }

    fn add_network_route(self: &Arc<Self>, configuration: &Configuration, address: &Address) {
        let network = address.network();
        let is_wanted = network.prefix_len() < 32 || address.peer.is_some();
        if !is_wanted
            || address.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE) != 0
            || address.address().is_loopback()
        {
            return;
        }
        let route = RouteEntry {
            protocol: RTPROT_KERNEL,
            ..RouteEntry::on_link(network, address.link, Some(address.address()))
        };
        // It may be there already; without it the address still is good.
        let _ = self.add_route(configuration, route);
    }
}

/// Routes.
impl NetNs {
    /// The main table, longest prefix last.
    pub fn routes(&self) -> Vec<RouteEntry> {
        self.tables.lock().routes.iter().map(|(_, _, route)| route.clone()).collect()
    }

    /// Adds a route to the main table.
    ///
    /// # Errors
    /// EEXIST for one with the same destination and metric, ENODEV, ENETDOWN for a link that is down, ENETUNREACH for a gateway that is not on a
    /// link, EINVAL, ENOBUFS.
    pub fn add_route(self: &Arc<Self>, configuration: &Configuration, mut route: RouteEntry) -> Result<()> {
        if route.destination != route.destination.network() {
            return Err(Error::with(Errno::EINVAL, "the destination has bits past its prefix"));
        }
        self.complete_route(&mut route)?;
        self.change(|tables| {
            if tables.routes.len() >= MAX_ROUTES {
                return Err(Error::with(Errno::ENOBUFS, "too many routes"));
            }
            let (network, len) = key(route.destination);
            if tables.routes.at(network, len).any(|(metric, _)| metric == route.metric) {
                return Err(Errno::EEXIST.into());
            }
            tables.routes.insert(network, len, route.metric, route.clone());
            Ok(())
        })?;
        self.announce(configuration, &Event::RouteAdded(&route));
        Ok(())
    }

    /// Puts `route` in the place of one with the same destination and metric, or adds it.
    ///
    /// # Errors
    /// As [`Self::add_route`].
    pub fn replace_route(
        self: &Arc<Self>,
        configuration: &Configuration,
        mut route: RouteEntry,
    ) -> Result<()> {
        self.complete_route(&mut route)?;
        let (network, len) = key(route.destination);
        let old = self.change(|tables| {
            let is_it = |at, at_len, other: &RouteEntry| {
                (at, at_len) == (network, len) && other.metric == route.metric
            };
            tables.routes.extract(is_it)
        });
        drop(old);
        self.add_route(configuration, route)
    }

    /// Takes out the first route that `is_wanted` names.
    ///
    /// # Errors
    /// ESRCH.
    pub fn remove_route(
        self: &Arc<Self>,
        configuration: &Configuration,
        is_wanted: impl Fn(&RouteEntry) -> bool,
    ) -> Result<()> {
        let mut is_found = false;
        let gone = self.change(|tables| {
            tables.routes.extract(|_, _, route| {
                let is_it = !is_found && is_wanted(route);
                is_found |= is_it;
                is_it
            })
        });
        let route = gone.first().ok_or(Errno::ESRCH)?;
        self.announce(configuration, &Event::RouteRemoved(route));
        Ok(())
    }

    /// How to get to `destination`.
    ///
    /// # Errors
    /// ENETUNREACH, and what routes of the unreachable kinds say.
    pub fn route(&self, destination: Ipv4Addr, hints: &Hints) -> Result<Route> {
        let tables = self.tables.lock();
        let destination = if destination.is_unspecified() {
            hints.source.filter(|source| !source.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST)
        } else {
            destination
        };
        let bound_source = hints.source.filter(|source| !source.is_unspecified());
        let is_bound_elsewhere = hints.link.is_some_and(|link| link != self.loopback.index());
        if tables.is_local(destination) && (!is_bound_elsewhere || !destination.is_loopback()) {
            return Ok(Route {
                destination,
                source: bound_source.unwrap_or(destination),
                gateway: None,
                kind: RouteKind::Local,
                mtu: self.loopback.mtu(),
                link: self.loopback.clone(),
            });
        }
        let entry = tables.find_route(destination, hints)?;
        let by_source = || {
            let everybody = destination.is_broadcast() || destination.is_multicast();
            bound_source.filter(|_| everybody).and_then(|source| tables.link_with(source))
        };
        let link = match hints.link {
            // Bound to a link, everything is on that link (IP_PKTINFO, DHCP before there are addresses).
            Some(link) => tables.links.get(&link).filter(|link| link.is_up()),
            None => by_source().or_else(|| tables.links.get(&entry?.link)),
        };
        let link = link.ok_or(Error::with(Errno::ENETUNREACH, "no route"))?.clone();
        let kind = tables.kind_of(destination, link.index());
        let gateway = entry.and_then(|entry| entry.gateway).filter(|_| kind == RouteKind::Unicast);
        let source = bound_source
            .or_else(|| entry.and_then(|entry| entry.source))
            .unwrap_or_else(|| tables.source_for(gateway.unwrap_or(destination), link.index()));
        let mtu = entry.and_then(|entry| entry.mtu).unwrap_or(u32::MAX).min(link.mtu());
        let mtu = mtu.min(self.path_mtus.find(destination)).max(68);
        Ok(Route { destination, link, source, gateway, kind, mtu })
    }

    /// What a packet is that came in by `link` for `destination`; `None`: not this machine's.
    pub fn classify(&self, destination: Ipv4Addr, link: &Link) -> Option<RouteKind> {
        let tables = self.tables.lock();
        if tables.is_local(destination) {
            return Some(RouteKind::Local);
        }
        match tables.kind_of(destination, link.index()) {
            RouteKind::Unicast => None,
            kind => Some(kind),
        }
    }

    /// Whether `address` means all hosts on that link.
    pub fn is_broadcast_on(&self, address: Ipv4Addr, link: u32) -> bool {
        self.tables.lock().kind_of(address, link) == RouteKind::Broadcast
    }

    /// The address to ask a neighbour from.
    pub(super) fn source_on(&self, link: u32, neighbour: Ipv4Addr) -> Ipv4Addr {
        self.tables.lock().source_for(neighbour, link)
    }

    /// A router says that packets of `len` bytes to `destination` are too long, and `mtu` would not be; 0: it does not say what would.
    pub(super) fn note_path_mtu(&self, destination: Ipv4Addr, mtu: u16, len: u16) {
        self.path_mtus.note(destination, mtu, len);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Checks link and gateway, and finds out the link of a gateway.
    fn complete_route(&self, route: &mut RouteEntry) -> Result<()> {
        if !matches!(route.kind, RouteKind::Unicast) {
            route.link = 0;
            return Ok(());
        }
        if let Some(gateway) = route.gateway
            && !route.is_onlink
        {
            let hints = Hints { link: (route.link != 0).then_some(route.link), source: None };
            let tables = self.tables.lock();
            let way = tables.find_route(gateway, &hints)?;
            let way = way
                .filter(|way| way.gateway.is_none())
                .ok_or(Error::with(Errno::ENETUNREACH, "the gateway is not on a link"))?;
            if tables.is_local(gateway) {
                return Err(Error::with(Errno::EINVAL, "the gateway is this machine"));
            }
            route.link = way.link;
        }
        let link = self.link(route.link).ok_or(Errno::ENODEV)?;
        if !link.is_up() {
            return Err(Errno::ENETDOWN.into());
        }
        if let Some(source) = route.source
            && !self.tables.lock().addresses.iter().any(|address| address.address() == source)
        {
            return Err(Error::with(Errno::EINVAL, "the source is not an address of this machine"));
        }
        Ok(())
    }

    fn announce(self: &Arc<Self>, configuration: &Configuration, event: &Event<'_>) {
        event::announce(self, configuration, event);
    }
}

impl Tables {
    fn next_index(&mut self) -> Result<u32> {
        let next = self.last_index.checked_add(1).filter(|next| i32::try_from(*next).is_ok());
        let index = next.into_iter().chain(1..).find(|index| !self.links.contains_key(index));
        let index = index.ok_or(Errno::ENFILE)?;
        self.last_index = index;
        Ok(index)
    }

    fn is_link_up(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|link| link.is_up())
    }

    fn is_local(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|own| {
            // All of 127/8 is this machine's, if any of it is (RFC 1122, 3.2.1.3).
            let is_it = own.address() == address
                || address.is_loopback() && own.scope == Scope::Host && own.network().contains_addr(&address);
            is_it && self.is_link_up(own.link)
        })
    }

    /// Unicast, unless the address means all hosts on `link`, or a group.
    fn kind_of(&self, destination: Ipv4Addr, link: u32) -> RouteKind {
        if destination.is_multicast() {
            return RouteKind::Multicast;
        }
        let is_broadcast = destination.is_broadcast()
            || self.addresses.iter().any(|own| {
                own.link == link
                    && (own.broadcast == Some(destination) || own.network().broadcast() == Some(destination))
                    && own.scope != Scope::Host
            });
        if is_broadcast { RouteKind::Broadcast } else { RouteKind::Unicast }
    }

    /// The best entry; `None`: there is none.
    fn find_route(&self, destination: Ipv4Addr, hints: &Hints) -> Result<Option<&RouteEntry>> {
        for (_, entry) in self.routes.matches(destination.to_bits()) {
            match entry.kind {
                RouteKind::Unicast => {}
                RouteKind::Blackhole => return Err(Errno::EINVAL.into()),
                RouteKind::Prohibit => return Err(Errno::EACCES.into()),
                _ => return Err(Errno::EHOSTUNREACH.into()),
            }
            if hints.link.is_none_or(|link| link == entry.link) && self.is_link_up(entry.link) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn link_with(&self, address: Ipv4Addr) -> Option<&Arc<Link>> {
        let own = self.addresses.iter().find(|own| own.address() == address)?;
        self.links.get(&own.link).filter(|link| link.is_up())
    }

    /// The address to send from by `link`: one of the next hop's network, else the link's first, else any that others know.
    fn source_for(&self, next_hop: Ipv4Addr, link: u32) -> Ipv4Addr {
        let primaries = || {
            let is_usable = |own: &&Address| own.flags & IFA_F_SECONDARY == 0 && own.scope != Scope::Host;
            self.addresses.iter().filter(is_usable)
        };
        let of_link = || primaries().filter(|own| own.link == link);
        of_link()
            .find(|own| own.network().contains_addr(&next_hop))
            .or_else(|| of_link().next())
            .or_else(|| primaries().find(|own| own.scope == Scope::Global && self.is_link_up(own.link)))
            .map_or(Ipv4Addr::UNSPECIFIED, Address::address)
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        teardown::bury(core::mem::take(&mut self.tables.get_mut().links).into_values());
    }
}

fn key(cidr: Ipv4Cidr) -> (u32, u8) {
    (cidr.address().to_bits(), cidr.prefix_len())
}

/// Whether a link may be called that (netdevice(7)): EINVAL.
fn check_name(name: &str) -> Result<()> {
    let is_good = !name.is_empty()
        && name.len() < NAME_LEN
        && !matches!(name, "." | "..")
        && !name.bytes().any(|byte| byte == b'/' || byte == b':' || byte.is_ascii_whitespace());
    if is_good { Ok(()) } else { Err(Error::with(Errno::EINVAL, "not a link's name")) }
}
