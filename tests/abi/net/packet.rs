//! Packet sockets: packet(7).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{Uid, setuid};

use super::lab::{Namespace, pair, passes};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("net":
    packet_sockets_need_a_capability,
    a_packet_socket_sees_what_comes_and_what_goes,
    a_protocol_is_seen_only_when_it_comes,
    a_frame_of_ones_own_arrives,
    a_datagram_gets_its_header,
    a_port_of_a_bridge_is_seen_by_who_wants_everything,
    loopback_shows_a_header_of_zeros,
    binding_to_links_and_its_errors,
    frames_that_find_no_room_are_counted,
    memberships_come_and_go,
);

const ALL: u16 = libc::ETH_P_ALL as u16;
const IP: u16 = libc::ETH_P_IP as u16;
/// An EtherType for experiments (IEEE 802, 9.2.3).
const OWN: u16 = 0x88b5;

fn address(index: u32, protocol: u16, station: [u8; 6]) -> libc::sockaddr_ll {
    let [a, b, c, d, e, f] = station;
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, f, 0, 0],
    }
}

const NOWHERE: [u8; 6] = [0; 6];
const LEN: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;

/// A packet socket that waits for two seconds at most.
#[derive(Debug)]
struct Socket(OwnedFd);

impl Socket {
    fn new(kind: libc::c_int, protocol: u16) -> nix::Result<Self> {
        // SAFETY: makes a descriptor.
        let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, protocol.to_be().into()) })?;
        // SAFETY: the kernel has just made it for this process.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let time = libc::timeval { tv_sec: 2, tv_usec: 0 };
        socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &time)?;
        Ok(socket)
    }

    /// One of a namespace's, bound to one of its links.
    fn bound(namespace: &Namespace, kind: libc::c_int, protocol: u16, link: &str) -> Outcome<(Self, u32)> {
        namespace.enter(|| {
            let socket = Self::new(kind, protocol)?;
            let index = nix::net::if_::if_nametoindex(link)?;
            socket.bind(&address(index, protocol, NOWHERE))?;
            Ok((socket, index))
        })
    }

    fn set<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> nix::Result<()> {
        let (at, len) = ((&raw const *value).cast(), size_of::<T>() as libc::socklen_t);
        // SAFETY: the value is valid for its length.
        Errno::result(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, at, len) }).map(drop)
    }

    fn bind(&self, address: &libc::sockaddr_ll) -> nix::Result<()> {
        // SAFETY: the address is valid for its length.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const *address).cast(), LEN) };
        Errno::result(result).map(drop)
    }

    fn name(&self) -> nix::Result<(libc::sockaddr_ll, libc::socklen_t)> {
        let (mut name, mut len) = (address(0, 0, NOWHERE), LEN);
        // SAFETY: the address is valid for its length.
        let result = unsafe { libc::getsockname(self.0.as_raw_fd(), (&raw mut name).cast(), &raw mut len) };
        Errno::result(result).map(|_| (name, len))
    }

    fn send(&self, bytes: &[u8], to: &libc::sockaddr_ll) -> nix::Result<usize> {
        let (at, to) = (bytes.as_ptr().cast(), (&raw const *to).cast());
        // SAFETY: both are valid for their lengths.
        let sent = unsafe { libc::sendto(self.0.as_raw_fd(), at, bytes.len(), 0, to, LEN) };
        Errno::result(sent).map(isize::cast_unsigned)
    }

    fn receive(&self, flags: libc::c_int) -> nix::Result<(Vec<u8>, libc::sockaddr_ll)> {
        let (mut bytes, mut from, mut len) = (vec![0; 4096], address(0, 0, NOWHERE), LEN);
        let (at, from_at) = (bytes.as_mut_ptr().cast(), (&raw mut from).cast());
        // SAFETY: both are valid for their lengths.
        let received =
            unsafe { libc::recvfrom(self.0.as_raw_fd(), at, bytes.len(), flags, from_at, &raw mut len) };
        bytes.truncate(Errno::result(received)?.cast_unsigned());
        Ok((bytes, from))
    }

    /// The next frame whose payload ends with some bytes.
    fn find(&self, end: &[u8]) -> nix::Result<(Vec<u8>, libc::sockaddr_ll)> {
        loop {
            let (bytes, from) = self.receive(0)?;
            if bytes.ends_with(end) {
                return Ok((bytes, from));
            }
        }
    }
}

/// A pair whose cable is known to carry: Linux takes a moment.
fn working_pair() -> Outcome<[Namespace; 2]> {
    let [a, b] = pair()?;
    passes(&a.socket([0; 4], 7000)?, &b.socket([0; 4], 7000)?, [10, 9, 0, 2], b"carried")?;
    Ok([a, b])
}

fn packet_sockets_need_a_capability() -> Outcome {
    child::passes(|| {
        check_eq!(Socket::new(libc::SOCK_STREAM, ALL).err(), Some(Errno::ESOCKTNOSUPPORT));
        setuid(Uid::from_raw(1000))?;
        check_eq!(Socket::new(libc::SOCK_RAW, ALL).err(), Some(Errno::EPERM));
        Ok(())
    })
}

fn a_packet_socket_sees_what_comes_and_what_goes() -> Outcome {
    let [a, b] = pair()?;
    let (watcher, index) = Socket::bound(&a, libc::SOCK_RAW, ALL, "eth0")?;
    let (near, far) = (a.socket([0; 4], 1000)?, b.socket([0; 4], 2000)?);
    passes(&near, &far, [10, 9, 0, 2], b"a question")?;
    passes(&far, &near, [10, 9, 0, 1], b"its answer")?;
    let (sent, from) = watcher.find(b"a question")?;
    check_eq!((from.sll_pkttype, from.sll_ifindex.cast_unsigned()), (libc::PACKET_OUTGOING, index));
    check_eq!((u16::from_be(from.sll_protocol), from.sll_halen), (IP, 6));
    let (received, from) = watcher.find(b"its answer")?;
    check_eq!((from.sll_pkttype, from.sll_hatype), (libc::PACKET_HOST, libc::ARPHRD_ETHER));
    // Each went from one to the other.
    check_eq!((&sent[..6], &sent[6..12]), (&received[6..12], &received[..6]));
    check_eq!(&from.sll_addr[..6], &received[6..12]);
    check_eq!((received.len(), &received[12..14]), (14 + 20 + 8 + 10, &[8, 0][..]));
    Ok(())
}

fn a_protocol_is_seen_only_when_it_comes() -> Outcome {
    let [a, b] = pair()?;
    let (watcher, _) = Socket::bound(&a, libc::SOCK_DGRAM, IP, "eth0")?;
    let (near, far) = (a.socket([0; 4], 1000)?, b.socket([0; 4], 2000)?);
    passes(&near, &far, [10, 9, 0, 2], b"a question")?;
    passes(&far, &near, [10, 9, 0, 1], b"its answer")?;
    // From the IP header on.
    let (bytes, from) = watcher.receive(libc::MSG_PEEK)?;
    check_eq!((bytes[0], bytes.len(), from.sll_pkttype), (0x45, 20 + 8 + 10, libc::PACKET_HOST));
    check!(bytes.ends_with(b"its answer"), "it saw {bytes:?}");
    check_eq!(watcher.receive(0)?.0, bytes);
    check_fails!(watcher.receive(libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn a_frame_of_ones_own_arrives() -> Outcome {
    let [a, b] = working_pair()?;
    let (near, index) = Socket::bound(&a, libc::SOCK_RAW, ALL, "eth0")?;
    let (far, _) = Socket::bound(&b, libc::SOCK_RAW, OWN, "eth0")?;
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &OWN.to_be_bytes(), b"to everybody"].concat();
    check_eq!(near.send(&frame, &address(index, OWN, NOWHERE))?, frame.len());
    let (bytes, from) = far.find(b"to everybody")?;
    check_eq!(bytes, frame);
    check_eq!((from.sll_pkttype, u16::from_be(from.sll_protocol)), (libc::PACKET_BROADCAST, OWN));
    check_eq!(&from.sll_addr[..6], &[2, 0, 0, 0, 0, 9]);
    // To somebody else: whoever listens sees that too. The sender does not see its own.
    let frame = [&[2, 0, 0, 0, 0, 8][..], &[2, 0, 0, 0, 0, 9], &OWN.to_be_bytes(), b"to another"].concat();
    near.send(&frame, &address(index, OWN, NOWHERE))?;
    check_eq!(far.find(b"to another")?.1.sll_pkttype, libc::PACKET_OTHERHOST);
    let seen = std::iter::from_fn(|| near.receive(libc::MSG_DONTWAIT).ok());
    check!(!seen.into_iter().any(|(bytes, _)| bytes.ends_with(b"to another")), "it saw its own frame");
    Ok(())
}

fn a_datagram_gets_its_header() -> Outcome {
    let [a, b] = working_pair()?;
    let (near, index) = Socket::bound(&a, libc::SOCK_DGRAM, OWN, "eth0")?;
    let (far, _) = Socket::bound(&b, libc::SOCK_RAW, OWN, "eth0")?;
    let to = far.name()?.0.sll_addr;
    let station = [to[0], to[1], to[2], to[3], to[4], to[5]];
    near.send(b"hello", &address(index, OWN, station))?;
    let (bytes, from) = far.find(b"hello")?;
    check_eq!((&bytes[..6], &bytes[12..14]), (&station[..], &OWN.to_be_bytes()[..]));
    check_eq!(from.sll_pkttype, libc::PACKET_HOST);
    check_eq!(&bytes[6..12], &near.name()?.0.sll_addr[..6]);
    check_fails!(nix::unistd::write(&near.0, b"to whom?"), EINVAL);
    Ok(())
}

fn a_port_of_a_bridge_is_seen_by_who_wants_everything() -> Outcome {
    let (mut host, mut guest) = (Namespace::new()?, Namespace::new()?);
    host.make("br0", "bridge", &[])?;
    host.address("br0", [10, 9, 5, 1], 24)?;
    host.cable("port0", &guest, "eth0")?;
    host.plug("port0", "br0")?;
    host.set_up("port0")?;
    guest.address("eth0", [10, 9, 5, 2], 24)?;
    let (at_port, _) = Socket::bound(&host, libc::SOCK_RAW, ALL, "port0")?;
    let (ip_at_port, _) = Socket::bound(&host, libc::SOCK_RAW, IP, "port0")?;
    let (at_bridge, _) = Socket::bound(&host, libc::SOCK_RAW, IP, "br0")?;
    let (near, far) = (guest.socket([0; 4], 1000)?, host.socket([0; 4], 2000)?);
    passes(&near, &far, [10, 9, 5, 1], b"to the bridge")?;
    at_port.find(b"to the bridge")?;
    at_bridge.find(b"to the bridge")?;
    check_fails!(ip_at_port.receive(libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn loopback_shows_a_header_of_zeros() -> Outcome {
    let host = Namespace::new()?;
    let (watcher, index) = Socket::bound(&host, libc::SOCK_RAW, ALL, "lo")?;
    // An IP packet of a protocol that nobody has, written by hand: it goes out, and comes in.
    let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    let sum = packet.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum::<u32>();
    let sum = !(sum as u16 + (sum >> 16) as u16);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(b"here");
    let (sender, _) = Socket::bound(&host, libc::SOCK_DGRAM, 0, "lo")?;
    check_eq!(sender.send(&packet, &address(index, IP, NOWHERE))?, 24);
    for kind in [libc::PACKET_OUTGOING, libc::PACKET_HOST] {
        let (bytes, from) = watcher.find(b"here")?;
        check_eq!((from.sll_pkttype, from.sll_hatype), (kind, libc::ARPHRD_LOOPBACK));
        check_eq!(bytes, [&[0; 12][..], &IP.to_be_bytes(), &packet].concat());
    }
    Ok(())
}

fn binding_to_links_and_its_errors() -> Outcome {
    let host = Namespace::new()?;
    host.enter(|| {
        let socket = Socket::new(libc::SOCK_RAW, ALL)?;
        let (name, len) = socket.name()?;
        check_eq!((name.sll_family, u16::from_be(name.sll_protocol)), (libc::AF_PACKET as u16, ALL));
        check_eq!((name.sll_ifindex, len), (0, 12));
        check_fails!(socket.bind(&address(77, ALL, NOWHERE)), ENODEV);
        check_fails!(socket.bind(&libc::sockaddr_ll { sll_family: 1, ..address(1, ALL, NOWHERE) }), EINVAL);
        socket.bind(&address(1, ALL, NOWHERE))?;
        let (name, len) = socket.name()?;
        check_eq!((name.sll_ifindex, name.sll_hatype, len), (1, libc::ARPHRD_LOOPBACK, 18));
        check_fails!(socket.send(&[0; 64], &address(77, ALL, NOWHERE)), ENXIO);
        check_fails!(socket.send(&[0; 13], &address(1, ALL, NOWHERE)), EINVAL);
        check_fails!(socket.send(&[0; 70_000], &address(1, ALL, NOWHERE)), EMSGSIZE);
        let value = 1;
        check_fails!(socket.set(libc::SOL_PACKET, 777, &value), ENOPROTOOPT);
        Ok(())
    })?;
    let mut down = Namespace::new()?;
    down.make("down0", "veth", &[])?;
    down.enter(|| {
        let index = nix::net::if_::if_nametoindex("down0")?;
        let socket = Socket::new(libc::SOCK_RAW, ALL)?;
        socket.bind(&address(index, ALL, NOWHERE))?;
        check_fails!(socket.receive(0), ENETDOWN);
        check_fails!(socket.send(&[0; 64], &address(index, ALL, NOWHERE)), ENETDOWN);
        check_fails!(socket.receive(libc::MSG_DONTWAIT), EAGAIN);
        Ok(())
    })
}

fn frames_that_find_no_room_are_counted() -> Outcome {
    let [a, b] = working_pair()?;
    let (watcher, _) = Socket::bound(&b, libc::SOCK_RAW, OWN, "eth0")?;
    watcher.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &4096)?;
    let (near, index) = Socket::bound(&a, libc::SOCK_DGRAM, 0, "eth0")?;
    for _ in 0..50 {
        near.send(&[7; 1000], &address(index, OWN, [0xff; 6]))?;
    }
    let mut received = 0;
    while watcher.receive(libc::MSG_DONTWAIT).is_ok() {
        received += 1;
    }
    let (mut counts, mut len) = ([0_u32; 2], 8 as libc::socklen_t);
    let at = counts.as_mut_ptr().cast();
    // SAFETY: the value is valid for its length.
    let result = unsafe {
        libc::getsockopt(watcher.0.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, at, &raw mut len)
    };
    Errno::result(result)?;
    check_eq!(counts[0], 50);
    check!(received > 0 && counts[1] == 50 - received, "{received} were read, and {} lost", counts[1]);
    Ok(())
}

fn memberships_come_and_go() -> Outcome {
    let [a, _b] = pair()?;
    let (socket, index) = Socket::bound(&a, libc::SOCK_RAW, ALL, "eth0")?;
    let request = |index: u32| libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let (add, drop) = (libc::PACKET_ADD_MEMBERSHIP, libc::PACKET_DROP_MEMBERSHIP);
    check_fails!(socket.set(libc::SOL_PACKET, add, &request(77)), ENODEV);
    socket.set(libc::SOL_PACKET, add, &request(index))?;
    socket.set(libc::SOL_PACKET, drop, &request(index))?;
    // One that there is not is nobody's loss.
    socket.set(libc::SOL_PACKET, drop, &request(index))?;
    Ok(())
}
