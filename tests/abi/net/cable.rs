//! Two namespaces with a cable between them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Namespace, connect, pair, passes, set_option, told};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("net":
    datagrams_cross_a_cable_both_ways,
    a_closed_port_is_refused_by_the_other_end,
    a_host_that_is_not_there_is_unreachable,
    long_datagrams_arrive_whole,
    what_may_not_be_cut_must_fit,
    one_end_takes_the_other_along,
    a_namespace_takes_its_ends_along,
    a_link_moves_without_its_addresses,
    the_loopback_link_stays,
    groups_and_everybody_are_reached,
    a_cork_does_not_hold_acknowledgements_back,
);

fn datagrams_cross_a_cable_both_ways() -> Outcome {
    let [a, b] = pair()?;
    let (near, far) = (a.socket([10, 9, 0, 1], 1000)?, b.socket([0; 4], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 0, 2], b"there")?, [10, 9, 0, 1]);
    check_eq!(passes(&far, &near, [10, 9, 0, 1], b"and back")?, [10, 9, 0, 2]);
    Ok(())
}

fn a_closed_port_is_refused_by_the_other_end() -> Outcome {
    let [a, _b] = pair()?;
    let socket = a.socket([0; 4], 0)?;
    socket.connect((Ipv4Addr::new(10, 9, 0, 2), 9))?;
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::ECONNREFUSED));
    Ok(())
}

fn a_host_that_is_not_there_is_unreachable() -> Outcome {
    let [a, _b] = pair()?;
    let socket = a.socket([0; 4], 0)?;
    connect(&socket, [10, 9, 0, 77], 9)?;
    let start = Instant::now();
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::EHOSTUNREACH));
    check!(start.elapsed() > Duration::from_secs(1), "nobody was asked");
    check_fails!(a.socket([0; 4], 0)?.connect((Ipv4Addr::new(10, 8, 0, 1), 9)), ENETUNREACH);
    Ok(())
}

fn long_datagrams_arrive_whole() -> Outcome {
    let [a, b] = pair()?;
    let (near, far) = (a.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    for len in [1472, 1473, 9000, 65507] {
        let bytes: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
        passes(&near, &far, [10, 9, 0, 2], &bytes)?;
    }
    Ok(())
}

fn what_may_not_be_cut_must_fit() -> Outcome {
    let [mut a, b] = pair()?;
    let (near, far) = (a.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    set_option(&near, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
    passes(&near, &far, [10, 9, 0, 2], &[7; 1472])?;
    check_fails!(near.send_to(&[7; 1473], (Ipv4Addr::new(10, 9, 0, 2), 2000)), EMSGSIZE);
    a.set_mtu("eth0", 1000)?;
    check_fails!(near.send_to(&[7; 1472], (Ipv4Addr::new(10, 9, 0, 2), 2000)), EMSGSIZE);
    passes(&near, &far, [10, 9, 0, 2], &[7; 972])?;
    Ok(())
}

fn one_end_takes_the_other_along() -> Outcome {
    let [mut a, mut b] = pair()?;
    check!(a.has("eth0") && b.has("eth0"));
    a.delete("eth0")?;
    check!(!a.has("eth0") && !b.has("eth0"));
    Ok(())
}

fn a_namespace_takes_its_ends_along() -> Outcome {
    let [mut a, b] = pair()?;
    drop(b);
    let start = Instant::now();
    while a.has("eth0") && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(20));
    }
    check!(!a.has("eth0"), "the other end is still there");
    Ok(())
}

fn a_link_moves_without_its_addresses() -> Outcome {
    let [mut a, b] = pair()?;
    let mut c = Namespace::new()?;
    check_eq!(a.give("eth0", &c)?, 0);
    check!(!a.has("eth0") && c.has("eth0"));
    check_fails!(c.socket([0; 4], 0)?.connect((Ipv4Addr::new(10, 9, 0, 2), 9)), ENETUNREACH);
    c.address("eth0", [10, 9, 0, 3], 24)?;
    let (near, far) = (c.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 0, 2], b"from elsewhere")?, [10, 9, 0, 3]);
    // Where the name is taken it stays.
    let mut d = Namespace::new()?;
    d.cable("eth0", &b, "other")?;
    check_eq!(c.give("eth0", &d)?, libc::EEXIST);
    check!(c.has("eth0"));
    Ok(())
}

fn the_loopback_link_stays() -> Outcome {
    let (mut a, b) = (Namespace::new()?, Namespace::new()?);
    check_eq!(a.give("lo", &b)?, libc::EINVAL);
    check!(a.delete("lo").is_err());
    check!(a.has("lo"));
    Ok(())
}

fn groups_and_everybody_are_reached() -> Outcome {
    let [a, b] = pair()?;
    let (near, far) = (a.socket([10, 9, 0, 1], 0)?, b.socket([0; 4], 2000)?);
    check_fails!(near.send_to(b"x", (Ipv4Addr::new(10, 9, 0, 255), 2000)), EACCES);
    near.set_broadcast(true)?;
    passes(&near, &far, [10, 9, 0, 255], b"all of the network")?;
    Ok(())
}

fn a_cork_does_not_hold_acknowledgements_back() -> Outcome {
    let [a, b] = pair()?;
    let listener = b.enter(|| Ok(TcpListener::bind((Ipv4Addr::new(10, 9, 0, 2), 2000))?))?;
    let mut client = a.enter(|| Ok(TcpStream::connect((Ipv4Addr::new(10, 9, 0, 2), 2000))?))?;
    let (mut server, _) = listener.accept()?;
    let on: libc::c_int = 1;
    let (value, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    // SAFETY: the call reads one number, which lives on.
    let result =
        unsafe { libc::setsockopt(client.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_CORK, value, len) };
    check_eq!(result, 0);
    for round in 0..5 {
        server.write_all(b"x")?;
        client.read_exact(&mut [0])?;
        let start = Instant::now();
        // Less than a segment: it waits for more, or for the cork to go.
        client.write_all(b"y")?;
        let acknowledged = || {
            let mut unsent: libc::c_int = 0;
            // SAFETY: the call writes one number, which lives on.
            unsafe { libc::ioctl(server.as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
            unsent == 0
        };
        while !acknowledged() {
            check!(start.elapsed() < Duration::from_millis(150), "not acknowledged in round {round}");
            thread::sleep(Duration::from_millis(1));
        }
        server.read_exact(&mut [0])?;
    }
    Ok(())
}
