//! Packet sockets: packet(7).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An address: a link, and a station on it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the fields of packet(7)")]
pub struct sockaddr_ll {
    pub sll_family: u16,
    /// In network order.
    pub sll_protocol: [u8; 2],
    pub sll_ifindex: u32,
    pub sll_hatype: u16,
    pub sll_pkttype: u8,
    pub sll_halen: u8,
    pub sll_addr: [u8; 8],
}

/// What a link is to let in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the fields of packet(7)")]
pub struct packet_mreq {
    pub mr_ifindex: u32,
    pub mr_type: u16,
    pub mr_alen: u16,
    pub mr_address: [u8; 8],
}

/// PACKET_STATISTICS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the fields of packet(7)")]
pub struct tpacket_stats {
    pub tp_packets: u32,
    pub tp_drops: u32,
}

/// PACKET_AUXDATA.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the fields of packet(7)")]
pub struct tpacket_auxdata {
    pub tp_status: u32,
    pub tp_len: u32,
    pub tp_snaplen: u32,
    pub tp_mac: u16,
    pub tp_net: u16,
    pub tp_vlan_tci: u16,
    pub tp_vlan_tpid: u16,
}

crate::assert_sizes! { sockaddr_ll = 20, packet_mreq = 16, tpacket_stats = 8, tpacket_auxdata = 20, }

#[expect(missing_docs, reason = "the names of packet(7)")]
mod constants {
    /// The family.
    pub const AF_PACKET: u16 = 17;
    /// Level of its options.
    pub const SOL_PACKET: u32 = 263;

    /// Frames of all protocols.
    pub const ETH_P_ALL: u16 = 3;

    pub const PACKET_ADD_MEMBERSHIP: u32 = 1;
    pub const PACKET_DROP_MEMBERSHIP: u32 = 2;
    pub const PACKET_STATISTICS: u32 = 6;
    pub const PACKET_AUXDATA: u32 = 8;
    pub const PACKET_IGNORE_OUTGOING: u32 = 23;

    pub const PACKET_HOST: u8 = 0;
    pub const PACKET_BROADCAST: u8 = 1;
    pub const PACKET_MULTICAST: u8 = 2;
    pub const PACKET_OTHERHOST: u8 = 3;
    pub const PACKET_OUTGOING: u8 = 4;

    pub const PACKET_MR_MULTICAST: u16 = 0;
    pub const PACKET_MR_PROMISC: u16 = 1;
    pub const PACKET_MR_ALLMULTI: u16 = 2;
    pub const PACKET_MR_UNICAST: u16 = 3;

    /// It belongs to user space.
    pub const TP_STATUS_USER: u32 = 1;
    /// The transport's checksum is still to be put in.
    pub const TP_STATUS_CSUMNOTREADY: u32 = 8;
}
pub use constants::*;
