extern crate std;

use crate::{Arrival, BadRule, Departure, Endpoint, Exit, Protocol, Rule, Sum, Surroundings, Table, Tuple};
use core::net::Ipv4Addr;
use proptest::prelude::*;
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket, checksum};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const BRIDGE: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
const CONTAINER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn around(now_ns: u64) -> Surroundings<'static> {
    Surroundings {
        now_ns,
        is_local: &|address| address == HOST || address == BRIDGE || address.is_loopback(),
        is_free: &|_, _| true,
        random: &|| 12345,
    }
}

fn exit(name: &'static str, address: Ipv4Addr, is_hairpin: bool) -> (impl Fn(&str) -> bool, Ipv4Addr, bool) {
    (move |other: &str| other == name, address, is_hairpin)
}

/// A packet with good checksums.
fn packet(
    protocol: Protocol,
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let (number, header_len) = match protocol {
        Protocol::Tcp => (IpProtocol::Tcp, 20),
        Protocol::Udp => (IpProtocol::Udp, 8),
        Protocol::Icmp => (IpProtocol::Icmp, 8),
    };
    let len = 20 + header_len + payload.len();
    let mut bytes = vec![0; len];
    let mut ip = Ipv4Packet::new_unchecked(&mut bytes);
    ip.set_version(4);
    ip.set_header_len(20);
    ip.set_total_len(len as u16);
    ip.set_hop_limit(64);
    ip.set_next_header(number);
    ip.set_src_addr(source.0);
    ip.set_dst_addr(destination.0);
    ip.fill_checksum();
    let (from, to) = (source.0.into(), destination.0.into());
    let transport = ip.payload_mut();
    transport[header_len..].copy_from_slice(payload);
    match protocol {
        Protocol::Tcp => {
            let mut tcp = TcpPacket::new_unchecked(transport);
            tcp.set_src_port(source.1);
            tcp.set_dst_port(destination.1);
            tcp.set_header_len(20);
            tcp.set_ack(true);
            tcp.fill_checksum(&from, &to);
        }
        Protocol::Udp => {
            let mut udp = UdpPacket::new_unchecked(transport);
            udp.set_src_port(source.1);
            udp.set_dst_port(destination.1);
            udp.set_len((8 + payload.len()) as u16);
            udp.fill_checksum(&from, &to);
        }
        Protocol::Icmp => {
            let mut icmp = Icmpv4Packet::new_unchecked(transport);
            icmp.set_msg_type(Icmpv4Message::EchoRequest);
            icmp.set_echo_ident(source.1);
            icmp.fill_checksum();
        }
    }
    bytes
}

fn tcp_with(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), flags: &str) -> Vec<u8> {
    let mut bytes = packet(Protocol::Tcp, source, destination, b"");
    let mut ip = Ipv4Packet::new_unchecked(&mut bytes);
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    tcp.set_syn(flags.contains('S'));
    tcp.set_fin(flags.contains('F'));
    tcp.set_rst(flags.contains('R'));
    tcp.set_ack(flags.contains('A'));
    tcp.fill_checksum(&source.0.into(), &destination.0.into());
    bytes
}

fn checksums_are_good(bytes: &[u8]) -> bool {
    let ip = Ipv4Packet::new_checked(bytes).unwrap();
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    ip.verify_checksum()
        && match ip.next_header() {
            IpProtocol::Tcp => TcpPacket::new_checked(ip.payload()).unwrap().verify_checksum(&from, &to),
            IpProtocol::Udp => UdpPacket::new_checked(ip.payload()).unwrap().verify_checksum(&from, &to),
            _ => checksum::data(ip.payload()) == u16::MAX,
        }
}

fn table(rules: &[&str]) -> Table {
    let mut table = Table::new(64);
    for rule in rules {
        assert!(table.add(rule.parse().unwrap()));
    }
    table
}

/// Sends a packet all the way; returns its tuple when it leaves, or `None` if it may not.
fn pass(
    table: &mut Table,
    bytes: &mut [u8],
    link: &'static str,
    address: Ipv4Addr,
    is_hairpin: bool,
    now_ns: u64,
) -> Option<Tuple> {
    let around = around(now_ns);
    let arrived = match table.arrive(bytes, Sum::Whole, &around) {
        Arrival::Translated => return Some(Tuple::of(bytes).unwrap()),
        Arrival::Untouched => None,
        Arrival::Redirected(tuple) => Some(tuple),
    };
    let (is_link, address, is_hairpin) = exit(link, address, is_hairpin);
    let exit = Exit { address, is_link: &is_link, is_hairpin, is_forwarded: true };
    let departure = table.depart(bytes, Sum::Whole, arrived, Some(&exit), &around);
    (departure == Departure::Go).then(|| Tuple::of(bytes).unwrap())
}

fn tuple(protocol: Protocol, source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Tuple {
    Tuple {
        protocol,
        source: Endpoint::new(source.0, source.1),
        destination: Endpoint::new(destination.0, destination.1),
    }
}

const MASQUERADE: &str = "masquerade 172.17.0.0/16 !docker0";
const PUBLISH: &str = "publish tcp 0.0.0.0:8080 172.17.0.2:80";

#[test]
fn what_leaves_gets_the_links_address_and_answers_come_back() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut table = table(&[MASQUERADE]);
        let mut out = packet(protocol, (CONTAINER, 40000), (REMOTE, 443), b"hello");
        let left = pass(&mut table, &mut out, "eth0", HOST, false, 0);
        assert_eq!(left, Some(tuple(protocol, (HOST, 40000), (REMOTE, 443))));
        assert!(checksums_are_good(&out));
        let mut back = packet(protocol, (REMOTE, 443), (HOST, 40000), b"world!!");
        let arrived = pass(&mut table, &mut back, "docker0", BRIDGE, false, 1);
        assert_eq!(arrived, Some(tuple(protocol, (REMOTE, 443), (CONTAINER, 40000))));
        assert!(checksums_are_good(&back));
    }
}

#[test]
fn echo_is_told_apart_by_its_identifier() {
    let mut table = table(&[MASQUERADE]);
    let other = Ipv4Addr::new(172, 17, 0, 3);
    let mut first = packet(Protocol::Icmp, (CONTAINER, 7), (REMOTE, 7), b"a");
    let mut second = packet(Protocol::Icmp, (other, 7), (REMOTE, 7), b"b");
    let one = pass(&mut table, &mut first, "eth0", HOST, false, 0).unwrap();
    let two = pass(&mut table, &mut second, "eth0", HOST, false, 0).unwrap();
    assert_eq!((one.source.port, two.source.address), (7, HOST));
    assert_ne!(two.source.port, 7);
    assert!(checksums_are_good(&first) && checksums_are_good(&second));
    let mut back = packet(Protocol::Icmp, (REMOTE, two.source.port), (HOST, two.source.port), b"b");
    let arrived = pass(&mut table, &mut back, "docker0", BRIDGE, false, 1).unwrap();
    assert_eq!(arrived, tuple(Protocol::Icmp, (REMOTE, 7), (other, 7)));
    assert!(checksums_are_good(&back));
}

#[test]
fn what_stays_on_the_link_or_is_of_others_is_left_alone() {
    let mut table = table(&[MASQUERADE]);
    let inside = tuple(Protocol::Udp, (CONTAINER, 1), (Ipv4Addr::new(172, 17, 0, 3), 2));
    let mut bytes = packet(Protocol::Udp, (CONTAINER, 1), (Ipv4Addr::new(172, 17, 0, 3), 2), b"");
    assert_eq!(pass(&mut table, &mut bytes, "docker0", BRIDGE, true, 0), Some(inside));
    let foreign = tuple(Protocol::Udp, (ROUTER, 1), (REMOTE, 2));
    let mut bytes = packet(Protocol::Udp, (ROUTER, 1), (REMOTE, 2), b"");
    assert_eq!(pass(&mut table, &mut bytes, "eth0", HOST, false, 0), Some(foreign));
    assert_eq!(table.flow_count(), 0);
}

#[test]
fn answers_to_who_is_outside_keep_their_address() {
    let mut table = table(&[MASQUERADE]);
    let mut question = packet(Protocol::Icmp, (REMOTE, 3), (CONTAINER, 3), b"");
    let asked = tuple(Protocol::Icmp, (REMOTE, 3), (CONTAINER, 3));
    assert_eq!(pass(&mut table, &mut question, "docker0", BRIDGE, false, 0), Some(asked));
    let mut answer = packet(Protocol::Icmp, (CONTAINER, 3), (REMOTE, 3), b"");
    assert_eq!(pass(&mut table, &mut answer, "eth0", HOST, false, 0), Some(asked.reversed()));
    assert!(checksums_are_good(&answer));
}

#[test]
fn published_ports_lead_to_their_targets() {
    let mut table = table(&[PUBLISH]);
    let mut request = tcp_with((REMOTE, 5555), (HOST, 8080), "S");
    let passed = pass(&mut table, &mut request, "docker0", BRIDGE, false, 0);
    assert_eq!(passed, Some(tuple(Protocol::Tcp, (REMOTE, 5555), (CONTAINER, 80))));
    let mut answer = tcp_with((CONTAINER, 80), (REMOTE, 5555), "SA");
    let passed = pass(&mut table, &mut answer, "eth0", HOST, false, 1);
    assert_eq!(passed, Some(tuple(Protocol::Tcp, (HOST, 8080), (REMOTE, 5555))));
    assert!(checksums_are_good(&request) && checksums_are_good(&answer));
}

#[test]
fn hairpins_are_masqueraded_too() {
    let mut table = table(&[PUBLISH, MASQUERADE]);
    let mut request = tcp_with((CONTAINER, 5555), (HOST, 8080), "S");
    let passed = pass(&mut table, &mut request, "docker0", BRIDGE, true, 0);
    assert_eq!(passed, Some(tuple(Protocol::Tcp, (BRIDGE, 5555), (CONTAINER, 80))));
    let mut answer = tcp_with((CONTAINER, 80), (BRIDGE, 5555), "SA");
    let passed = pass(&mut table, &mut answer, "docker0", BRIDGE, true, 0);
    assert_eq!(passed, Some(tuple(Protocol::Tcp, (HOST, 8080), (CONTAINER, 5555))));
}

#[test]
fn loopback_senders_get_an_address_that_others_can_answer() {
    let mut table = table(&[PUBLISH]);
    let mut request = tcp_with((Ipv4Addr::LOCALHOST, 5555), (Ipv4Addr::LOCALHOST, 8080), "S");
    let passed = pass(&mut table, &mut request, "docker0", BRIDGE, false, 0);
    assert_eq!(passed, Some(tuple(Protocol::Tcp, (BRIDGE, 5555), (CONTAINER, 80))));
    let mut answer = tcp_with((CONTAINER, 80), (BRIDGE, 5555), "SA");
    let expected = tuple(Protocol::Tcp, (Ipv4Addr::LOCALHOST, 8080), (Ipv4Addr::LOCALHOST, 5555));
    assert_eq!(pass(&mut table, &mut answer, "lo", Ipv4Addr::LOCALHOST, false, 0), Some(expected));
}

#[test]
fn a_port_in_use_is_not_given_away() {
    let mut table = table(&[MASQUERADE]);
    let mut ports = Vec::new();
    for host in 2..12 {
        let source = (Ipv4Addr::new(172, 17, 0, host), 40000);
        let mut bytes = packet(Protocol::Udp, source, (REMOTE, 53), b"");
        ports.push(pass(&mut table, &mut bytes, "eth0", HOST, false, 0).unwrap().source.port);
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 10);

    let taken = Surroundings { is_free: &|_, _| false, ..around(0) };
    let mut bytes = packet(Protocol::Udp, (CONTAINER, 999), (REMOTE, 53), b"");
    let (is_link, address, is_hairpin) = exit("eth0", HOST, false);
    let exit = Exit { address, is_link: &is_link, is_hairpin, is_forwarded: true };
    assert_eq!(table.depart(&mut bytes, Sum::Whole, None, Some(&exit), &taken), Departure::Refused);
}

#[test]
fn our_own_packet_yields_to_a_flow_with_the_same_answers() {
    let mut table = table(&[MASQUERADE]);
    let mut theirs = packet(Protocol::Udp, (CONTAINER, 40000), (REMOTE, 53), b"");
    pass(&mut table, &mut theirs, "eth0", HOST, false, 0).unwrap();
    let mut ours = packet(Protocol::Udp, (HOST, 40000), (REMOTE, 53), b"");
    let left = pass(&mut table, &mut ours, "eth0", HOST, false, 0).unwrap();
    assert_ne!(left.source.port, 40000);
    let mut answer = packet(Protocol::Udp, (REMOTE, 53), (HOST, left.source.port), b"");
    let arrived = pass(&mut table, &mut answer, "lo", HOST, false, 0);
    assert_eq!(arrived, Some(tuple(Protocol::Udp, (REMOTE, 53), (HOST, 40000))));
}

#[test]
fn errors_reach_who_sent_the_packet_they_quote() {
    let mut table = table(&[MASQUERADE]);
    let mut out = packet(Protocol::Udp, (CONTAINER, 40000), (REMOTE, 53), b"question");
    let left = pass(&mut table, &mut out, "eth0", HOST, false, 0).unwrap();
    // A router quotes what it saw, cut after eight bytes.
    let mut error = packet(Protocol::Icmp, (ROUTER, 0), (HOST, 0), &out[..28]);
    let mut ip = Ipv4Packet::new_unchecked(&mut error);
    let mut icmp = Icmpv4Packet::new_unchecked(ip.payload_mut());
    icmp.set_msg_type(Icmpv4Message::DstUnreachable);
    icmp.set_msg_code(3);
    icmp.fill_checksum();
    assert_eq!(left.source.address, HOST);
    assert_eq!(table.arrive(&mut error, Sum::Whole, &around(1)), Arrival::Translated);
    assert!(checksums_are_good(&error));
    let ip = Ipv4Packet::new_checked(&error).unwrap();
    assert_eq!((ip.src_addr(), ip.dst_addr()), (ROUTER, CONTAINER));
    let quoted = &ip.payload()[8..];
    assert_eq!(Tuple::of(quoted), Some(tuple(Protocol::Udp, (CONTAINER, 40000), (REMOTE, 53))));
    assert!(Ipv4Packet::new_unchecked(quoted).verify_checksum());
    // An error about a packet that nobody sent stays where it is.
    let mut stray =
        packet(Protocol::Icmp, (ROUTER, 0), (HOST, 0), &packet(Protocol::Udp, (HOST, 1), (REMOTE, 1), b""));
    Icmpv4Packet::new_unchecked(&mut stray[20..]).set_msg_type(Icmpv4Message::DstUnreachable);
    assert_eq!(table.arrive(&mut stray, Sum::Whole, &around(1)), Arrival::Untouched);
}

#[test]
fn errors_of_a_target_come_from_the_published_address() {
    let mut table = table(&["publish udp 10.0.2.15:53 172.17.0.2:5353"]);
    let mut out = packet(Protocol::Udp, (REMOTE, 9), (HOST, 53), b"");
    pass(&mut table, &mut out, "docker0", BRIDGE, false, 0).unwrap();
    let mut error = packet(Protocol::Icmp, (CONTAINER, 0), (REMOTE, 0), &out);
    Icmpv4Packet::new_unchecked(&mut error[20..]).set_msg_type(Icmpv4Message::DstUnreachable);
    assert_eq!(table.arrive(&mut error, Sum::Whole, &around(1)), Arrival::Translated);
    let ip = Ipv4Packet::new_checked(&error).unwrap();
    assert_eq!((ip.src_addr(), ip.dst_addr()), (HOST, REMOTE));
    assert_eq!(Tuple::of(&ip.payload()[8..]), Some(tuple(Protocol::Udp, (REMOTE, 9), (HOST, 53))));
}

#[test]
fn flows_end_by_time_and_by_their_protocol() {
    let mut table = table(&[MASQUERADE]);
    let mut udp = packet(Protocol::Udp, (CONTAINER, 1), (REMOTE, 53), b"");
    pass(&mut table, &mut udp, "eth0", HOST, false, 0).unwrap();
    assert!(table.tick(29 * SECOND));
    assert!(!table.tick(30 * SECOND));

    let step = |table: &mut Table, source, destination, flags, link, now_ns| {
        pass(table, &mut tcp_with(source, destination, flags), link, HOST, false, now_ns).unwrap()
    };
    let (here, outside, there) = ((CONTAINER, 2000), (HOST, 2000), (REMOTE, 80));
    step(&mut table, here, there, "S", "eth0", 0);
    step(&mut table, there, outside, "SA", "docker0", SECOND);
    step(&mut table, here, there, "A", "eth0", 2 * SECOND);
    assert!(table.tick(3600 * SECOND), "an open connection lives for days");
    step(&mut table, here, there, "FA", "eth0", 3600 * SECOND);
    step(&mut table, there, outside, "FA", "docker0", 3601 * SECOND);
    assert!(table.tick(3700 * SECOND));
    assert!(!table.tick(3722 * SECOND));

    step(&mut table, here, there, "S", "eth0", 4000 * SECOND);
    step(&mut table, there, outside, "RA", "docker0", 4001 * SECOND);
    assert!(!table.tick(4012 * SECOND), "a reset one is gone soon");
}

#[test]
fn a_forged_reset_does_not_end_a_flow_that_goes_on() {
    let mut table = table(&[MASQUERADE]);
    let (here, outside, there) = ((CONTAINER, 2000), (HOST, 2000), (REMOTE, 80));
    for (source, destination, flags, link) in [
        (here, there, "S", "eth0"),
        (there, outside, "SA", "docker0"),
        (here, there, "A", "eth0"),
        (there, outside, "R", "docker0"),
        (here, there, "A", "eth0"),
    ] {
        pass(&mut table, &mut tcp_with(source, destination, flags), link, HOST, false, 0).unwrap();
    }
    assert!(table.tick(3600 * SECOND));
}

#[test]
fn a_full_table_evicts_what_was_never_answered_only() {
    let mut table = Table::new(4);
    assert!(table.add(MASQUERADE.parse().unwrap()));
    for port in 0..4 {
        let (here, outside, there) = ((CONTAINER, 2000 + port), (HOST, 2000 + port), (REMOTE, 80));
        for (source, destination, flags) in [(here, there, "S"), (there, outside, "SA"), (here, there, "A")] {
            pass(&mut table, &mut tcp_with(source, destination, flags), "eth0", HOST, false, 0).unwrap();
        }
    }
    let mut fifth = tcp_with((CONTAINER, 3000), (REMOTE, 80), "S");
    assert_eq!(pass(&mut table, &mut fifth, "eth0", HOST, false, 0), None);

    let mut table = Table::new(4);
    assert!(table.add(MASQUERADE.parse().unwrap()));
    for port in 0..100 {
        let mut bytes = tcp_with((CONTAINER, 2000 + port), (REMOTE, 80), "S");
        assert!(pass(&mut table, &mut bytes, "eth0", HOST, false, port.into()).is_some());
        assert!(table.flow_count() <= 4);
    }
}

#[test]
fn an_unpublished_port_takes_its_flows_along() {
    let mut table = table(&[PUBLISH]);
    let mut request = tcp_with((REMOTE, 5555), (HOST, 8080), "S");
    pass(&mut table, &mut request, "docker0", BRIDGE, false, 0).unwrap();
    assert!(table.remove(&PUBLISH.parse().unwrap()));
    assert!(table.is_idle());
    assert!(!table.remove(&PUBLISH.parse().unwrap()));
}

#[test]
fn rules_read_as_they_are_written() {
    for line in [MASQUERADE, PUBLISH, "publish udp 127.0.0.1:53 10.1.2.3:5353", "drop br-a br-b"] {
        assert_eq!(line.parse::<Rule>().unwrap().to_string(), line);
    }
    for line in [
        "",
        "masquerade 10.0.0.0/33 !x",
        "masquerade 10.0.0.0/8 x",
        "publish sctp 0.0.0.0:1 10.0.0.1:1",
        "publish tcp 0.0.0.0:0 10.0.0.1:1",
        "publish tcp 0.0.0.0:1 127.0.0.1:1",
        "drop a",
        "drop a b c",
        "drop aaaaaaaaaaaaaaaa b",
    ] {
        assert_eq!(line.parse::<Rule>(), Err(BadRule), "{line}");
    }
}

#[test]
fn drop_rules_have_a_direction() {
    let table = table(&["drop a b"]);
    let named = |name: &'static str| move |other: &str| other == name;
    assert!(table.drops(&named("a"), &named("b")));
    assert!(!table.drops(&named("b"), &named("a")));
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Icmp)]
}

proptest! {
    #[test]
    fn checksums_stay_good_and_pseudo_sums_stay_sums(
        protocol in any_protocol(),
        source in any::<(u32, u16)>(),
        destination in any::<(u32, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut table = table(&["masquerade 0.0.0.0/0 !none"]);
        let source = (Ipv4Addr::from_bits(source.0), source.1);
        let destination = (Ipv4Addr::from_bits(destination.0), destination.1);
        let original = packet(protocol, source, destination, &payload);
        let mut whole = original.clone();
        let left = pass(&mut table, &mut whole, "eth0", HOST, false, 0);
        prop_assert!(left.is_some());
        prop_assert!(checksums_are_good(&whole));

        let mut table = Table::new(64);
        table.add("masquerade 0.0.0.0/0 !none".parse().unwrap());
        let mut partial = original;
        if protocol != Protocol::Icmp {
            let at = 20 + if protocol == Protocol::Tcp { 16 } else { 6 };
            let number = if protocol == Protocol::Tcp { IpProtocol::Tcp } else { IpProtocol::Udp };
            let len = (partial.len() - 20) as u32;
            let sum = checksum::pseudo_header_v4(&source.0, &destination.0, number, len);
            partial[at..at + 2].copy_from_slice(&sum.to_be_bytes());
            let is_link = |_: &str| false;
            let exit = Exit { address: HOST, is_link: &is_link, is_hairpin: false, is_forwarded: true };
            table.depart(&mut partial, Sum::PseudoHeader, None, Some(&exit), &around(0));
            let new = Tuple::of(&partial).unwrap();
            let expected =
                checksum::pseudo_header_v4(&new.source.address, &new.destination.address, number, len);
            let got = u16::from_be_bytes([partial[at], partial[at + 1]]);
            // 0 and 0xffff are the same sum.
            prop_assert_eq!(got % u16::MAX, expected % u16::MAX);
        }
    }

    #[test]
    fn answers_undo_what_was_done(
        protocol in any_protocol(),
        flows in proptest::collection::vec((2u8..6, 1000u16..1010, 1u8..4, 1u16..4), 1..40),
    ) {
        let mut table = Table::new(256);
        table.add(MASQUERADE.parse().unwrap());
        for (host, port, remote, remote_port) in flows {
            let here = (Ipv4Addr::new(172, 17, 0, host), port);
            let remote_port = if protocol == Protocol::Icmp { port } else { remote_port };
            let there = (Ipv4Addr::new(192, 0, 2, remote), remote_port);
            let mut out = packet(protocol, here, there, b"x");
            let left = pass(&mut table, &mut out, "eth0", HOST, false, 0).unwrap();
            prop_assert_eq!(left.source.address, HOST);
            let back_from = (left.destination.address, left.destination.port);
            let mut back = packet(protocol, back_from, (HOST, left.source.port), b"y");
            let arrived = pass(&mut table, &mut back, "docker0", BRIDGE, false, 0).unwrap();
            prop_assert_eq!(arrived, tuple(protocol, there, here));
        }
    }

    #[test]
    fn nonsense_neither_panics_nor_leaks(
        packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..60),
    ) {
        let mut table = Table::new(8);
        table.add("masquerade 0.0.0.0/0 !none".parse().unwrap());
        table.add("publish tcp 0.0.0.0:80 172.17.0.2:80".parse().unwrap());
        for (mut bytes, looks_right) in packets {
            if looks_right && bytes.len() > 20 {
                bytes[0] = 0x45;
                bytes[6..8].fill(0);
                bytes[9] = [1, 6, 17][usize::from(bytes[9]) % 3];
                if bytes[9] == 1 {
                    bytes[20] = [0, 3, 8, 11][usize::from(bytes[20]) % 4];
                }
            }
            let around = around(0);
            let arrived = match table.arrive(&mut bytes, Sum::Whole, &around) {
                Arrival::Redirected(tuple) => Some(tuple),
                _ => None,
            };
            let is_link = |_: &str| false;
            let exit = Exit { address: HOST, is_link: &is_link, is_hairpin: true, is_forwarded: true };
            table.depart(&mut bytes, Sum::Whole, arrived, Some(&exit), &around);
            prop_assert!(table.flow_count() <= 8);
        }
        prop_assert!(!table.tick(u64::MAX));
    }
}
