//! TCP between two network namespaces that a cable joins: with segments, losses of none, and ends that come late.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use super::{flags, option_of, until_events};
use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails, skip};
use crate::child;
use crate::netlink::conversation::{Netlink, attribute, link_head, text};

cases!("inet":
    a_transfer_over_a_cable,
    a_server_over_a_cable,
    refusals_and_resets_cross_a_cable,
    what_crosses_on_the_cable_is_seen_at_both_ends,
);

const CREATE: libc::c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const ALL: libc::c_short = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;

/// Runs `inside` in a process of its own with two joined namespaces: it starts in 10.8.0.1's; the file is 10.8.0.2's.
fn with_cable(inside: impl FnOnce(&File) -> Outcome) -> Outcome {
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let (far, mut netlink) = (File::open("/proc/self/ns/net")?, Netlink::open(libc::NETLINK_ROUTE)?);
        unshare(CloneFlags::CLONE_NEWNET)?;
        let mut near = Netlink::open(libc::NETLINK_ROUTE)?;
        let peer = [
            link_head(0, 0, 0),
            text(libc::IFLA_IFNAME, "b"),
            attribute(libc::IFLA_NET_NS_FD, &far.as_raw_fd().to_ne_bytes()),
        ];
        let info = [text(1, "veth"), attribute(2, &attribute(1, &peer.concat()))].concat();
        let payload =
            [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "a"), attribute(libc::IFLA_LINKINFO, &info)]
                .concat();
        match near.order(libc::RTM_NEWLINK, CREATE, &payload)? {
            0 => {}
            libc::EOPNOTSUPP => skip!("this kernel has no veth"),
            errno => return Err(Failure::wrong(format!("no cable: errno {errno}"))),
        }
        address(&mut near, "a", [10, 8, 0, 1])?;
        address(&mut netlink, "b", [10, 8, 0, 2])?;
        inside(&far)
    })
}

/// Brings a link up with an address.
fn address(netlink: &mut Netlink, name: &str, octets: [u8; 4]) -> Outcome {
    let index = netlink.index_of(name)?;
    let head = [&[libc::AF_INET as u8, 24, 0, 0][..], &index.to_ne_bytes()].concat();
    let payload = [head, attribute(libc::IFA_LOCAL, &octets), attribute(libc::IFA_ADDRESS, &octets)].concat();
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &payload)?, 0);
    let up = libc::IFF_UP.cast_unsigned();
    check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &link_head(index, up, up))?, 0);
    Ok(())
}

/// A listener at the far end.
fn listener(far: &File) -> Outcome<TcpListener> {
    let here = File::open("/proc/self/ns/net")?;
    setns(far, CloneFlags::CLONE_NEWNET)?;
    let listener = TcpListener::bind("10.8.0.2:8080");
    setns(&here, CloneFlags::CLONE_NEWNET)?;
    Ok(listener?)
}

fn died<T>(_: T) -> Failure {
    Failure::wrong("a thread died")
}

fn a_transfer_over_a_cable() -> Outcome {
    with_cable(|far| {
        let listener = listener(far)?;
        let mut client = TcpStream::connect("10.8.0.2:8080")?;
        check_eq!(client.local_addr()?.ip().to_string(), "10.8.0.1");
        let (mut server, from) = listener.accept()?;
        check_eq!(from, client.local_addr()?);
        let size = 2 << 20;
        let writer = thread::spawn(move || {
            let block: Vec<u8> = (0..65_536_u32).map(|at| (at % 251) as u8).collect();
            for _ in 0..size / block.len() {
                client.write_all(&block)?;
            }
            client.shutdown(Shutdown::Write)?;
            // The other direction is still open.
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes)?;
        check_eq!(bytes.len(), size);
        check!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 65_536 % 251));
        server.write_all(b"all of it")?;
        drop(server);
        check_eq!(writer.join().map_err(died)??, "all of it");
        Ok(())
    })
}

fn a_server_over_a_cable() -> Outcome {
    with_cable(|far| {
        let listener = listener(far)?;
        let server = thread::spawn(move || {
            for _ in 0..50 {
                let (mut connection, _) = listener.accept()?;
                let mut bytes = [0; 64];
                let len = connection.read(&mut bytes)?;
                connection.write_all(&bytes[..len])?;
            }
            Ok::<_, std::io::Error>(())
        });
        for _ in 0..50 {
            let mut client = TcpStream::connect("10.8.0.2:8080")?;
            client.set_read_timeout(Some(Duration::from_secs(5)))?;
            client.write_all(b"there and back")?;
            let mut answer = String::new();
            client.read_to_string(&mut answer)?;
            check_eq!(answer, "there and back");
        }
        server.join().map_err(died)??;
        Ok(())
    })
}

fn refusals_and_resets_cross_a_cable() -> Outcome {
    with_cable(|far| {
        check_fails!(TcpStream::connect("10.8.0.2:8080"), ECONNREFUSED);
        let listener = listener(far)?;
        let client = TcpStream::connect("10.8.0.2:8080")?;
        let (server, _) = listener.accept()?;
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(&server, nix::sys::socket::sockopt::Linger, &linger)?;
        drop(server);
        until_events(&client, ALL | libc::POLLERR | libc::POLLHUP)?;
        check_eq!(option_of(&client, libc::SOL_SOCKET, libc::SO_ERROR)?, libc::ECONNRESET);
        check_eq!(super::events(&client)?, flags(ALL | libc::POLLHUP));
        Ok(())
    })
}

/// Both ends send at once, so that each is busy sending on one CPU while the other's bytes arrive on another.
fn what_crosses_on_the_cable_is_seen_at_both_ends() -> Outcome {
    with_cable(|far| {
        let listener = listener(far)?;
        let near = TcpStream::connect("10.8.0.2:8080")?;
        let (far, _) = listener.accept()?;
        let other = thread::spawn(move || exchange(far));
        let result = exchange(near);
        // What failed here may be why the other end waits.
        result.and(other.join().map_err(died)?)
    })
}

/// Sends a number and waits for the other end's, again and again.
fn exchange(mut stream: TcpStream) -> Outcome {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for round in 0..3000_u32 {
        stream.write_all(&round.to_ne_bytes())?;
        let mut bytes = [0; 4];
        match stream.read_exact(&mut bytes) {
            Ok(()) => check_eq!(u32::from_ne_bytes(bytes), round),
            Err(error) => return Err(Failure::wrong(format!("round {round}: {error}"))),
        }
    }
    Ok(())
}
