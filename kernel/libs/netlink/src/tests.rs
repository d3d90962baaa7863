//! What is written reads back; what is foreign never does harm.

use super::rtnetlink::{address, link, neighbour, route};
use super::{Attributes, Message, Refusal, Writer, messages};
use alloc::vec;
use alloc::vec::Vec;
use coffer_abi_types::netlink::{
    IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU, NLM_F_MULTI, NLM_F_REQUEST,
    RTM_NEWLINK, RTM_NEWROUTE, VETH_INFO_PEER, ifinfomsg, nda_cacheinfo, nlmsghdr, rtnl_link_stats64,
};
use core::net::Ipv4Addr;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

const ROOM: usize = 4096;

fn head(nlmsg_type: u16) -> nlmsghdr {
    nlmsghdr { nlmsg_type, nlmsg_flags: NLM_F_REQUEST, nlmsg_seq: 7, ..nlmsghdr::default() }
}

fn written(nlmsg_type: u16, write: impl FnOnce(&mut super::Body<'_>)) -> Vec<u8> {
    let mut writer = Writer::new(ROOM).expect("memory");
    assert!(writer.message(head(nlmsg_type), write));
    writer.into_bytes()
}

fn only(bytes: &[u8]) -> Message<'_> {
    let all: Vec<_> = messages(bytes).collect();
    assert_eq!(all.len(), 1);
    all[0]
}

#[test]
fn a_pair_is_read_with_its_other_end() {
    let bytes = written(RTM_NEWLINK, |body| {
        body.push(&ifinfomsg { ifi_flags: 1, ifi_change: 1, ..ifinfomsg::default() });
        body.text(IFLA_IFNAME, "veth0");
        body.nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth");
            info.nested(IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |peer| {
                    peer.push(&ifinfomsg { ifi_index: 9, ..ifinfomsg::default() });
                    peer.text(IFLA_IFNAME, "eth0");
                    peer.attribute(IFLA_MTU, &1400_u32);
                });
            });
        });
    });
    let request = link::Request::read(&only(&bytes)).expect("a request");
    assert_eq!((request.name, request.kind), (Some("veth0"), Some("veth")));
    let peer = request.peer().expect("a peer that can be read").expect("a peer");
    assert_eq!((peer.name, peer.mtu, peer.head.ifi_index), (Some("eth0"), Some(1400), 9));
}

#[test]
fn a_message_that_does_not_fit_is_not_there() {
    let mut writer = Writer::new(64).expect("memory");
    assert!(writer.message(head(16), |body| body.attribute(1, &[1_u8; 20])));
    assert!(!writer.message(head(16), |body| body.attribute(1, &[2_u8; 40])));
    assert!(!writer.message(head(16), |body| body.text(1, "too long a name for what is left")));
    let bytes = writer.into_bytes();
    assert_eq!(only(&bytes).payload.len(), 24);
}

#[test]
fn an_attribute_of_more_than_64_kib_does_not_fit() {
    let mut writer = Writer::new(1 << 20).expect("memory");
    let long = vec![0_u8; 1 << 16];
    assert!(!writer.message(head(16), |body| body.attribute(1, &long[..])));
    let half = &long[..40_000];
    assert!(!writer.message(head(16), |body| body.nested(1, |body| {
        body.attribute(1, half);
        body.attribute(2, half);
    })));
    assert!(writer.is_empty());
}

#[test]
fn names_end_at_nul_and_have_bounds() {
    let text = |bytes: &'static [u8]| super::Attribute { kind: 1, value: bytes }.text(4);
    assert_eq!(text(b"lo\0x"), Ok("lo"));
    assert_eq!(text(b"eth0"), Ok("eth0"));
    assert_eq!(text(b"eth00"), Err(Refusal::Range("a name is too long")));
    assert_eq!(text(b"\xff\0"), Err(Refusal::Invalid("a name is no UTF-8")));
}

#[test]
fn several_messages_are_read_in_order() {
    let mut writer = Writer::new(ROOM).expect("memory");
    for kind in 16..20 {
        let head = nlmsghdr { nlmsg_flags: NLM_F_MULTI, ..head(kind) };
        assert!(writer.message(head, |body| body.push(&[kind as u8; 3][..])));
    }
    let bytes = writer.into_bytes();
    let kinds: Vec<_> = messages(&bytes).map(|message| message.head.nlmsg_type).collect();
    assert_eq!(kinds, [16, 17, 18, 19]);
    // The last one cut off: the others are still there.
    assert_eq!(messages(&bytes[..bytes.len() - 5]).count(), 3);
}

#[test]
fn a_route_reads_back() {
    let report = route::Report {
        destination: Some(Ipv4Addr::new(10, 1, 0, 0)),
        prefix_len: 16,
        gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
        preferred: Some(Ipv4Addr::new(10, 0, 0, 2)),
        link: Some(3),
        metric: 100,
        mtu: Some(1300),
        table: 1000,
        ..route::Report::default()
    };
    let bytes = written(RTM_NEWROUTE, |body| report.write(body));
    let request = route::Request::read(&only(&bytes)).expect("a request");
    assert_eq!(request.destination, report.destination);
    assert_eq!((request.gateway, request.preferred), (report.gateway, report.preferred));
    assert_eq!((request.link, request.metric, request.mtu), (Some(3), Some(100), Some(1300)));
    assert_eq!((request.table(), request.head.rtm_dst_len), (1000, 16));
}

#[test]
fn an_address_and_a_neighbour_read_back() {
    let report = address::Report {
        link: 2,
        prefix_len: 24,
        scope: 0,
        flags: 0x201,
        local: Ipv4Addr::new(172, 17, 0, 2),
        address: Ipv4Addr::new(172, 17, 0, 2),
        broadcast: Some(Ipv4Addr::new(172, 17, 0, 255)),
        label: "eth0",
        valid_seconds: None,
    };
    let bytes = written(20, |body| report.write(body));
    let request = address::Request::read(&only(&bytes)).expect("a request");
    assert_eq!((request.local, request.broadcast), (Some(report.local), report.broadcast));
    assert_eq!((request.label, request.flags), (Some("eth0"), 0x281));
    assert_eq!(request.valid_seconds, Some(u32::MAX));

    let hardware = [2, 0, 0, 0, 0, 1];
    let report = neighbour::Report {
        link: 2,
        state: 2,
        kind: 1,
        address: Ipv4Addr::new(172, 17, 0, 1),
        hardware: Some(hardware),
        probes: 0,
        ages: nda_cacheinfo::default(),
    };
    let bytes = written(28, |body| report.write(body));
    let request = neighbour::Request::read(&only(&bytes)).expect("a request");
    assert_eq!((request.address, request.hardware), (Some(report.address), Some(hardware)));
}

#[test]
fn narrow_counters_are_the_wide_ones_cut() {
    let statistics =
        rtnl_link_stats64 { rx_packets: 5, tx_bytes: (1 << 32) + 3, rx_nohandler: 9, ..Default::default() };
    let report = link::Report {
        hardware: 1,
        index: 1,
        flags: 1,
        change: 0,
        name: "lo",
        address: &[0; 6],
        broadcast: &[0; 6],
        mtu: 65536,
        min_mtu: 0,
        max_mtu: 0,
        queue_len: 1000,
        queue: "noqueue",
        operational_state: 0,
        has_carrier: true,
        promiscuity: 0,
        master: None,
        peer: None,
        kind: None,
        port_kind: None,
        statistics: Some(statistics),
        ipv4_settings: &[0; 33],
    };
    let bytes = written(RTM_NEWLINK, |body| report.write(body));
    let (_, attributes) = only(&bytes).split::<ifinfomsg>().expect("a head");
    let narrow = attributes.find(7).expect("IFLA_STATS").value;
    let counter = |at: usize| u32::from_ne_bytes(narrow[4 * at..4 * at + 4].try_into().expect("four bytes"));
    assert_eq!((counter(0), counter(3), counter(23)), (5, 3, 9));
}

proptest! {
    #[test]
    fn foreign_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut total = 0;
        for message in messages(&bytes) {
            total += message.payload.len();
            if let Ok(request) = link::Request::read(&message) {
                let _ = request.peer();
            }
            let _ = address::Request::read(&message);
            let _ = route::Request::read(&message);
            let _ = neighbour::Request::read(&message);
            let _ = message.split_lenient::<ifinfomsg>();
        }
        prop_assert!(total <= bytes.len());
        for attribute in Attributes::new(&bytes) {
            prop_assert!(attribute.value.len() <= bytes.len());
            let _ = (attribute.u8(), attribute.u16(), attribute.u32(), attribute.ipv4(), attribute.mac(), attribute.text(15));
        }
    }

    #[test]
    fn attributes_of_any_length_read_back(values in proptest::collection::vec((1_u16..1000, proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let bytes = written(16, |body| for (kind, value) in &values { body.attribute(*kind, &value[..]); });
        let read: Vec<_> = Attributes::new(only(&bytes).payload).map(|attribute| (attribute.kind, attribute.value.to_vec())).collect();
        prop_assert_eq!(read, values);
    }
}
