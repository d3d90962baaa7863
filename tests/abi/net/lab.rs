//! Networks on one machine: namespaces, cables and bridges between them, made by rtnetlink.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use crate::case::{Failure, Outcome, skip};
use crate::netlink::conversation::{Netlink, attribute, link_head, text};

const CREATE: libc::c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const UP: u32 = libc::IFF_UP as u32;

/// A network namespace, and a conversation with it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    netlink: Netlink,
}

impl Namespace {
    /// A new one, with its loopback link up. The caller stays where it was.
    pub fn new() -> Outcome<Self> {
        let before = File::open("/proc/self/ns/net")?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let mut new =
            Self { file: File::open("/proc/self/ns/net")?, netlink: Netlink::open(libc::NETLINK_ROUTE)? };
        setns(&before, CloneFlags::CLONE_NEWNET)?;
        new.set_up("lo")?;
        Ok(new)
    }

    /// Does something inside: sockets that are made there belong there.
    pub fn enter<T>(&self, inside: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let before = File::open("/proc/self/ns/net")?;
        setns(&self.file, CloneFlags::CLONE_NEWNET)?;
        let result = inside();
        setns(&before, CloneFlags::CLONE_NEWNET)?;
        result
    }

    /// A cable from a link of this namespace's to one of another's.
    pub fn cable(&mut self, name: &str, other: &Self, other_name: &str) -> Outcome {
        let fd = other.file.as_raw_fd().cast_unsigned();
        let peer = [
            link_head(0, 0, 0),
            text(libc::IFLA_IFNAME, other_name),
            attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes()),
        ];
        self.make(name, "veth", &attribute(1, &peer.concat()))
    }

    /// A link of a kind; the case is skipped where there is none.
    pub fn make(&mut self, name: &str, kind: &str, data: &[u8]) -> Outcome {
        let info = [text(1, kind), attribute(2, data)].concat();
        let named = text(libc::IFLA_IFNAME, name);
        let payload = [link_head(0, 0, 0), named, attribute(libc::IFLA_LINKINFO, &info)].concat();
        match self.netlink.order(libc::RTM_NEWLINK, CREATE, &payload)? {
            libc::EOPNOTSUPP => skip!("this kernel has no {kind}"),
            errno => done("make a link", errno),
        }
    }

    pub fn set_up(&mut self, name: &str) -> Outcome {
        let index = self.netlink.index_of(name)?;
        done("set a link up", self.netlink.order(libc::RTM_NEWLINK, 0, &link_head(index, UP, UP))?)
    }

    /// Changes an attribute of a link; the errno that comes back.
    pub fn change(&mut self, name: &str, kind: u16, value: &[u8]) -> Outcome<i32> {
        let index = self.netlink.index_of(name)?;
        let payload = [link_head(index, 0, 0), attribute(kind, value)].concat();
        self.netlink.order(libc::RTM_NEWLINK, 0, &payload)
    }

    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Outcome {
        done("set an MTU", self.change(name, libc::IFLA_MTU, &mtu.to_ne_bytes())?)
    }

    /// Makes a link a port of a bridge's.
    pub fn plug(&mut self, name: &str, bridge: &str) -> Outcome {
        let master = self.netlink.index_of(bridge)?;
        done("plug a link in", self.change(name, libc::IFLA_MASTER, &master.to_ne_bytes())?)
    }

    /// Sends a link to another namespace.
    pub fn give(&mut self, name: &str, other: &Self) -> Outcome<i32> {
        let fd = other.file.as_raw_fd().cast_unsigned();
        self.change(name, libc::IFLA_NET_NS_FD, &fd.to_ne_bytes())
    }

    /// Brings a link up with an address.
    pub fn address(&mut self, name: &str, octets: [u8; 4], prefix_len: u8) -> Outcome {
        let index = self.netlink.index_of(name)?;
        let head = [&[libc::AF_INET as u8, prefix_len, 0, 0][..], &index.to_ne_bytes()].concat();
        let payload =
            [head, attribute(libc::IFA_LOCAL, &octets), attribute(libc::IFA_ADDRESS, &octets)].concat();
        done("add an address", self.netlink.order(libc::RTM_NEWADDR, CREATE, &payload)?)?;
        self.set_up(name)
    }

    /// A route by a gateway; prefix 0: the default one.
    pub fn route(&mut self, octets: [u8; 4], prefix_len: u8, gateway: [u8; 4]) -> Outcome {
        let mut payload = vec![
            libc::AF_INET as u8,
            prefix_len,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_BOOT,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        ];
        payload.extend_from_slice(&[0; 4]);
        if prefix_len > 0 {
            payload.extend(attribute(libc::RTA_DST, &octets));
        }
        payload.extend(attribute(libc::RTA_GATEWAY, &gateway));
        done("add a route", self.netlink.order(libc::RTM_NEWROUTE, CREATE, &payload)?)
    }

    /// Lets packets through from link to link.
    pub fn forward(&self) -> Outcome {
        self.enter(|| Ok(fs::write("/proc/sys/net/ipv4/ip_forward", "1")?))
    }

    /// Whether there is a link of that name.
    pub fn has(&mut self, name: &str) -> bool {
        self.netlink.index_of(name).is_ok()
    }

    /// Deletes a link.
    pub fn delete(&mut self, name: &str) -> Outcome {
        let index = self.netlink.index_of(name)?;
        done("delete a link", self.netlink.order(libc::RTM_DELLINK, 0, &link_head(index, 0, 0))?)
    }

    /// A datagram socket of this namespace's, which waits for two seconds at most.
    pub fn socket(&self, address: [u8; 4], port: u16) -> Outcome<UdpSocket> {
        self.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::from(address), port))?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            Ok(socket)
        })
    }
}

/// Connects a socket, and has it told of everything that goes wrong with what it sends (IP_RECVERR).
pub fn connect(socket: &UdpSocket, address: [u8; 4], port: u16) -> Outcome {
    set_option(socket, libc::IP_RECVERR, 1)?;
    Ok(socket.connect((Ipv4Addr::from(address), port))?)
}

/// Sets an option of IPPROTO_IP.
pub fn set_option(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> Outcome {
    let (fd, at) = (socket.as_raw_fd(), (&raw const value).cast());
    // SAFETY: the value is valid for its length.
    let result = unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, option, at, 4) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

/// Two namespaces with a cable between them: 10.9.0.1 and 10.9.0.2.
pub fn pair() -> Outcome<[Namespace; 2]> {
    let [mut a, mut b] = [Namespace::new()?, Namespace::new()?];
    a.cable("eth0", &b, "eth0")?;
    a.address("eth0", [10, 9, 0, 1], 24)?;
    b.address("eth0", [10, 9, 0, 2], 24)?;
    Ok([a, b])
}

/// Two namespaces with a router between them: 10.9.1.2, 10.9.1.1, 10.9.2.1, 10.9.2.2.
pub fn routed() -> Outcome<[Namespace; 3]> {
    let [mut a, mut router, mut b] = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    router.cable("left", &a, "eth0")?;
    router.cable("right", &b, "eth0")?;
    router.address("left", [10, 9, 1, 1], 24)?;
    router.address("right", [10, 9, 2, 1], 24)?;
    a.address("eth0", [10, 9, 1, 2], 24)?;
    b.address("eth0", [10, 9, 2, 2], 24)?;
    a.route([0; 4], 0, [10, 9, 1, 1])?;
    b.route([0; 4], 0, [10, 9, 2, 1])?;
    Ok([a, router, b])
}

/// Sends a datagram, and receives it where it ought to arrive; from whom it came.
pub fn passes(from: &UdpSocket, to: &UdpSocket, address: [u8; 4], bytes: &[u8]) -> Outcome<[u8; 4]> {
    let port = to.local_addr()?.port();
    from.send_to(bytes, (Ipv4Addr::from(address), port))?;
    let mut received = vec![0; bytes.len() + 1];
    let (len, sender) = to.recv_from(&mut received)?;
    if received.get(..len) != Some(bytes) {
        return Err(Failure::wrong(format!("{len} other bytes than the {} that were sent", bytes.len())));
    }
    match sender.ip() {
        std::net::IpAddr::V4(address) => Ok(address.octets()),
        std::net::IpAddr::V6(_) => Err(Failure::wrong("an IPv6 sender")),
    }
}

/// The error that a connected socket is told of, after something was sent.
pub fn told(socket: &UdpSocket) -> Option<i32> {
    socket.set_read_timeout(Some(Duration::from_secs(6))).ok()?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => error.raw_os_error(),
        Ok(_) => None,
    }
}

fn done(what: &str, errno: i32) -> Outcome {
    if errno == 0 { Ok(()) } else { Err(Failure::wrong(format!("cannot {what}: errno {errno}"))) }
}
