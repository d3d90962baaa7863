//! AF_INET (ip(7), tcp(7), udp(7)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An address of AF_INET; port and address in network order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of ip(7)")]
pub struct sockaddr_in {
    pub sin_family: u16,
    pub sin_port: [u8; 2],
    pub sin_addr: [u8; 4],
    pub sin_zero: [u8; 8],
}

/// Where a datagram came in, or is to leave (IP_PKTINFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of ip(7)")]
pub struct in_pktinfo {
    pub ipi_ifindex: u32,
    pub ipi_spec_dst: [u8; 4],
    pub ipi_addr: [u8; 4],
}

/// A group and a link (IP_ADD_MEMBERSHIP, IP_MULTICAST_IF).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of ip(7)")]
pub struct ip_mreqn {
    pub imr_multiaddr: [u8; 4],
    pub imr_address: [u8; 4],
    pub imr_ifindex: u32,
}

/// What went wrong with a datagram (IP_RECVERR).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of ip(7)")]
pub struct sock_extended_err {
    pub ee_errno: u32,
    pub ee_origin: u8,
    pub ee_type: u8,
    pub ee_code: u8,
    pub ee_pad: u8,
    pub ee_info: u32,
    pub ee_data: u32,
}

/// What is known of a connection (TCP_INFO of tcp(7)); times in microseconds or, of `tcpi_last_*`, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of tcp(7)")]
pub struct tcp_info {
    pub tcpi_state: u8,
    pub tcpi_ca_state: u8,
    pub tcpi_retransmits: u8,
    pub tcpi_probes: u8,
    pub tcpi_backoff: u8,
    pub tcpi_options: u8,
    pub tcpi_wscale: u8,
    pub tcpi_flags: u8,
    pub tcpi_rto: u32,
    pub tcpi_ato: u32,
    pub tcpi_snd_mss: u32,
    pub tcpi_rcv_mss: u32,
    pub tcpi_unacked: u32,
    pub tcpi_sacked: u32,
    pub tcpi_lost: u32,
    pub tcpi_retrans: u32,
    pub tcpi_fackets: u32,
    pub tcpi_last_data_sent: u32,
    pub tcpi_last_ack_sent: u32,
    pub tcpi_last_data_recv: u32,
    pub tcpi_last_ack_recv: u32,
    pub tcpi_pmtu: u32,
    pub tcpi_rcv_ssthresh: u32,
    pub tcpi_rtt: u32,
    pub tcpi_rttvar: u32,
    pub tcpi_snd_ssthresh: u32,
    pub tcpi_snd_cwnd: u32,
    pub tcpi_advmss: u32,
    pub tcpi_reordering: u32,
    pub tcpi_rcv_rtt: u32,
    pub tcpi_rcv_space: u32,
    pub tcpi_total_retrans: u32,
    pub tcpi_pacing_rate: u64,
    pub tcpi_max_pacing_rate: u64,
    pub tcpi_bytes_acked: u64,
    pub tcpi_bytes_received: u64,
    pub tcpi_segs_out: u32,
    pub tcpi_segs_in: u32,
    pub tcpi_notsent_bytes: u32,
    pub tcpi_min_rtt: u32,
    pub tcpi_data_segs_in: u32,
    pub tcpi_data_segs_out: u32,
    pub tcpi_delivery_rate: u64,
    pub tcpi_busy_time: u64,
    pub tcpi_rwnd_limited: u64,
    pub tcpi_sndbuf_limited: u64,
    pub tcpi_delivered: u32,
    pub tcpi_delivered_ce: u32,
    pub tcpi_bytes_sent: u64,
    pub tcpi_bytes_retrans: u64,
    pub tcpi_dsack_dups: u32,
    pub tcpi_reord_seen: u32,
    pub tcpi_rcv_ooopack: u32,
    pub tcpi_snd_wnd: u32,
}

crate::assert_sizes! { sockaddr_in = 16, in_pktinfo = 12, ip_mreqn = 12, sock_extended_err = 16, tcp_info = 232, }

#[expect(missing_docs, reason = "the names of ip(7), tcp(7) and udp(7)")]
mod constants {
    pub const AF_INET: u16 = 2;

    pub const IPPROTO_IP: u32 = 0;
    pub const IPPROTO_ICMP: u32 = 1;
    pub const IPPROTO_TCP: u32 = 6;
    pub const IPPROTO_UDP: u32 = 17;

    pub const IP_TOS: u32 = 1;
    pub const IP_TTL: u32 = 2;
    pub const IP_OPTIONS: u32 = 4;
    pub const IP_PKTINFO: u32 = 8;
    pub const IP_MTU_DISCOVER: u32 = 10;
    pub const IP_RECVERR: u32 = 11;
    pub const IP_RECVTTL: u32 = 12;
    pub const IP_RECVTOS: u32 = 13;
    pub const IP_MTU: u32 = 14;
    pub const IP_FREEBIND: u32 = 15;
    pub const IP_TRANSPARENT: u32 = 19;
    pub const IP_BIND_ADDRESS_NO_PORT: u32 = 24;
    pub const IP_MULTICAST_IF: u32 = 32;
    pub const IP_MULTICAST_TTL: u32 = 33;
    pub const IP_MULTICAST_LOOP: u32 = 34;
    pub const IP_ADD_MEMBERSHIP: u32 = 35;
    pub const IP_DROP_MEMBERSHIP: u32 = 36;
    pub const IP_MULTICAST_ALL: u32 = 49;
    pub const IP_LOCAL_PORT_RANGE: u32 = 51;

    pub const IP_PMTUDISC_WANT: u32 = 1;

    pub const TCP_NODELAY: u32 = 1;
    pub const TCP_MAXSEG: u32 = 2;
    pub const TCP_CORK: u32 = 3;
    pub const TCP_KEEPIDLE: u32 = 4;
    pub const TCP_KEEPINTVL: u32 = 5;
    pub const TCP_KEEPCNT: u32 = 6;
    pub const TCP_SYNCNT: u32 = 7;
    pub const TCP_LINGER2: u32 = 8;
    pub const TCP_DEFER_ACCEPT: u32 = 9;
    pub const TCP_WINDOW_CLAMP: u32 = 10;
    pub const TCP_INFO: u32 = 11;
    pub const TCP_QUICKACK: u32 = 12;
    pub const TCP_CONGESTION: u32 = 13;
    pub const TCP_USER_TIMEOUT: u32 = 18;
    pub const TCP_FASTOPEN: u32 = 23;
    pub const TCP_NOTSENT_LOWAT: u32 = 25;
    pub const TCP_FASTOPEN_CONNECT: u32 = 30;

    pub const UDP_CORK: u32 = 1;
    pub const UDP_SEGMENT: u32 = 103;
    pub const UDP_GRO: u32 = 104;

    pub const SO_EE_ORIGIN_LOCAL: u8 = 1;
    pub const SO_EE_ORIGIN_ICMP: u8 = 2;
}
pub use constants::*;
