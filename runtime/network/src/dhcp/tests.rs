use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

fn answer(to: &[u8], message_type: DhcpMessageType) -> Vec<u8> {
    let packet = DhcpPacket::new_checked(to).unwrap();
    let asked = DhcpRepr::parse(&packet).unwrap();
    let message = DhcpRepr {
        message_type,
        your_ip: Ipv4Addr::new(10, 0, 2, 15),
        router: Some(SERVER),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        server_identifier: Some(SERVER),
        dns_servers: Some([Ipv4Addr::new(10, 0, 2, 3)].into_iter().collect()),
        lease_duration: Some(86_400),
        client_hardware_address: EthernetAddress(MAC.0),
        parameter_request_list: None,
        requested_ip: None,
        client_identifier: None,
        max_size: None,
        ..asked
    };
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
    bytes
}

fn sent(client: &mut Client, now: Instant) -> (SocketAddrV4, Vec<u8>) {
    match client.poll(now) {
        Some(Action::Send { to, bytes }) => (to, bytes),
        other => panic!("{other:?}"),
    }
}

fn bound(now: Instant) -> Client {
    let mut client = Client::new(MAC, 7, now);
    let (to, discover) = sent(&mut client, now);
    assert_eq!(to.ip(), &Ipv4Addr::BROADCAST);
    assert_eq!(client.receive(&answer(&discover, DhcpMessageType::Offer), now), None);
    let (to, request) = sent(&mut client, now);
    assert_eq!(to.ip(), &Ipv4Addr::BROADCAST);
    let lease = client.receive(&answer(&request, DhcpMessageType::Ack), now).unwrap();
    assert_eq!(lease.address.to_string(), "10.0.2.15/24");
    assert_eq!((lease.gateway, lease.dns.as_slice()), (Some(SERVER), &[Ipv4Addr::new(10, 0, 2, 3)][..]));
    client
}

#[test]
fn an_offer_becomes_a_lease() {
    let client = bound(Instant::now());
    assert!(client.lease().is_some());
}

#[test]
fn without_an_answer_it_asks_again_ever_more_slowly() {
    let start = Instant::now();
    let mut client = Client::new(MAC, 7, start);
    let mut waits = Vec::new();
    let mut now = start;
    for _ in 0..7 {
        sent(&mut client, now);
        assert_eq!(client.poll(now), None);
        waits.push((client.deadline() - now).as_secs());
        now = client.deadline();
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 64]);
}

#[test]
fn a_lease_is_renewed_with_its_server_then_with_anybody_then_lost() {
    let start = Instant::now();
    let mut client = bound(start);
    let mut now = client.deadline();
    assert_eq!((now - start).as_secs(), 43_200);
    let (to, renewal) = sent(&mut client, now);
    assert_eq!(to.ip(), &SERVER);
    // The same again is no news.
    assert_eq!(client.receive(&answer(&renewal, DhcpMessageType::Ack), now), None);
    let start = now;
    let mut last = to;
    loop {
        now = client.deadline();
        match client.poll(now) {
            Some(Action::Send { to, .. }) => last = to,
            Some(Action::Lost(_)) => break,
            None => panic!("nothing to do at the deadline"),
        }
    }
    assert_eq!(last.ip(), &Ipv4Addr::BROADCAST);
    assert_eq!((now - start).as_secs(), 86_400);
    assert!(client.lease().is_none());
}

#[test]
fn a_refused_renewal_ends_the_lease() {
    let mut client = bound(Instant::now());
    let now = client.deadline();
    let (_, renewal) = sent(&mut client, now);
    client.receive(&answer(&renewal, DhcpMessageType::Nak), now);
    assert!(matches!(client.poll(now), Some(Action::Lost(_))));
}

#[test]
fn answers_to_others_are_not_taken() {
    let now = Instant::now();
    let mut other = Client::new(Mac([2, 0, 0, 0, 0, 2]), 8, now);
    let (_, discover) = sent(&mut other, now);
    let mut client = Client::new(MAC, 7, now);
    sent(&mut client, now);
    client.receive(&answer(&discover, DhcpMessageType::Offer), now);
    assert_eq!(client.poll(now), None);
}

proptest! {
    #[test]
    fn damaged_answers_are_survived(changes in prop::collection::vec((0_usize..320, any::<u8>()), 1..20)) {
        let now = Instant::now();
        let mut client = Client::new(MAC, 7, now);
        let (_, discover) = sent(&mut client, now);
        let mut bytes = answer(&discover, DhcpMessageType::Offer);
        for (at, byte) in changes {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        client.receive(&bytes, now);
    }
}
