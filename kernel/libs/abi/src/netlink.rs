//! Netlink (netlink(7)), rtnetlink(7), sock_diag(7) and generic netlink: headers and the fixed parts of messages.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The address of a netlink socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct sockaddr_nl {
    pub nl_family: u16,
    pub nl_pad: u16,
    pub nl_pid: u32,
    pub nl_groups: u32,
}

/// What a message begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct nlmsghdr {
    pub nlmsg_len: u32,
    pub nlmsg_type: u16,
    pub nlmsg_flags: u16,
    pub nlmsg_seq: u32,
    pub nlmsg_pid: u32,
}

/// What an attribute begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct nlattr {
    pub nla_len: u16,
    pub nla_type: u16,
}

/// NLMSG_ERROR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct nlmsgerr {
    pub error: i32,
    pub msg: nlmsghdr,
}

/// What comes along with NETLINK_PKTINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct nl_pktinfo {
    pub group: u32,
}

/// What a message of generic netlink begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct genlmsghdr {
    pub cmd: u8,
    pub version: u8,
    pub reserved: u16,
}

/// RTM_*LINK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct ifinfomsg {
    pub ifi_family: u8,
    pub __ifi_pad: u8,
    pub ifi_type: u16,
    pub ifi_index: i32,
    pub ifi_flags: u32,
    pub ifi_change: u32,
}

/// RTM_*ADDR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct ifaddrmsg {
    pub ifa_family: u8,
    pub ifa_prefixlen: u8,
    pub ifa_flags: u8,
    pub ifa_scope: u8,
    pub ifa_index: u32,
}

/// IFA_CACHEINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct ifa_cacheinfo {
    pub ifa_prefered: u32,
    pub ifa_valid: u32,
    pub cstamp: u32,
    pub tstamp: u32,
}

/// RTM_*ROUTE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct rtmsg {
    pub rtm_family: u8,
    pub rtm_dst_len: u8,
    pub rtm_src_len: u8,
    pub rtm_tos: u8,
    pub rtm_table: u8,
    pub rtm_protocol: u8,
    pub rtm_scope: u8,
    pub rtm_type: u8,
    pub rtm_flags: u32,
}

/// RTA_CACHEINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct rta_cacheinfo {
    pub rta_clntref: u32,
    pub rta_lastuse: u32,
    pub rta_expires: i32,
    pub rta_error: u32,
    pub rta_used: u32,
    pub rta_id: u32,
    pub rta_ts: u32,
    pub rta_tsage: u32,
}

/// RTM_*NEIGH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct ndmsg {
    pub ndm_family: u8,
    pub ndm_pad1: u8,
    pub ndm_pad2: u16,
    pub ndm_ifindex: i32,
    pub ndm_state: u16,
    pub ndm_flags: u8,
    pub ndm_type: u8,
}

/// NDA_CACHEINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct nda_cacheinfo {
    pub ndm_confirmed: u32,
    pub ndm_used: u32,
    pub ndm_updated: u32,
    pub ndm_refcnt: u32,
}

/// RTM_*RULE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct fib_rule_hdr {
    pub family: u8,
    pub dst_len: u8,
    pub src_len: u8,
    pub tos: u8,
    pub table: u8,
    pub res1: u8,
    pub res2: u8,
    pub action: u8,
    pub flags: u32,
}

/// IFLA_STATS64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct rtnl_link_stats64 {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub multicast: u64,
    pub collisions: u64,
    pub rx_length_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub rx_frame_errors: u64,
    pub rx_fifo_errors: u64,
    pub rx_missed_errors: u64,
    pub tx_aborted_errors: u64,
    pub tx_carrier_errors: u64,
    pub tx_fifo_errors: u64,
    pub tx_heartbeat_errors: u64,
    pub tx_window_errors: u64,
    pub rx_compressed: u64,
    pub tx_compressed: u64,
    pub rx_nohandler: u64,
    pub rx_otherhost_dropped: u64,
}

/// IFLA_STATS: the same in 32 bits, without the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct rtnl_link_stats {
    pub counters: [u32; 24],
}

/// Which socket; ports and addresses are in network order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct inet_diag_sockid {
    pub idiag_sport: [u8; 2],
    pub idiag_dport: [u8; 2],
    pub idiag_src: [[u8; 4]; 4],
    pub idiag_dst: [[u8; 4]; 4],
    pub idiag_if: u32,
    pub idiag_cookie: [u32; 2],
}

/// SOCK_DIAG_BY_FAMILY of AF_INET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct inet_diag_req_v2 {
    pub sdiag_family: u8,
    pub sdiag_protocol: u8,
    pub idiag_ext: u8,
    pub pad: u8,
    pub idiag_states: u32,
    pub id: inet_diag_sockid,
}

/// One socket of AF_INET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct inet_diag_msg {
    pub idiag_family: u8,
    pub idiag_state: u8,
    pub idiag_timer: u8,
    pub idiag_retrans: u8,
    pub id: inet_diag_sockid,
    pub idiag_expires: u32,
    pub idiag_rqueue: u32,
    pub idiag_wqueue: u32,
    pub idiag_uid: u32,
    pub idiag_inode: u32,
}

/// INET_DIAG_MEMINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct inet_diag_meminfo {
    pub idiag_rmem: u32,
    pub idiag_wmem: u32,
    pub idiag_fmem: u32,
    pub idiag_tmem: u32,
}

/// SOCK_DIAG_BY_FAMILY of AF_UNIX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct unix_diag_req {
    pub sdiag_family: u8,
    pub sdiag_protocol: u8,
    pub pad: u16,
    pub udiag_states: u32,
    pub udiag_ino: u32,
    pub udiag_show: u32,
    pub udiag_cookie: [u32; 2],
}

/// One socket of AF_UNIX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct unix_diag_msg {
    pub udiag_family: u8,
    pub udiag_type: u8,
    pub udiag_state: u8,
    pub pad: u8,
    pub udiag_ino: u32,
    pub udiag_cookie: [u32; 2],
}

/// UNIX_DIAG_RQLEN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct unix_diag_rqlen {
    pub udiag_rqueue: u32,
    pub udiag_wqueue: u32,
}

/// SOCK_DIAG_BY_FAMILY of AF_NETLINK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct netlink_diag_req {
    pub sdiag_family: u8,
    pub sdiag_protocol: u8,
    pub pad: u16,
    pub ndiag_ino: u32,
    pub ndiag_show: u32,
    pub ndiag_cookie: [u32; 2],
}

/// One socket of AF_NETLINK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page or of the uapi header")]
pub struct netlink_diag_msg {
    pub ndiag_family: u8,
    pub ndiag_type: u8,
    pub ndiag_protocol: u8,
    pub ndiag_state: u8,
    pub ndiag_portid: u32,
    pub ndiag_dst_portid: u32,
    pub ndiag_dst_group: u32,
    pub ndiag_ino: u32,
    pub ndiag_cookie: [u32; 2],
}

crate::assert_sizes! {
    sockaddr_nl = 12,
    nlmsghdr = 16,
    nlattr = 4,
    nlmsgerr = 20,
    nl_pktinfo = 4,
    genlmsghdr = 4,
    ifinfomsg = 16,
    ifaddrmsg = 8,
    ifa_cacheinfo = 16,
    rtmsg = 12,
    rta_cacheinfo = 32,
    ndmsg = 12,
    nda_cacheinfo = 16,
    fib_rule_hdr = 12,
    rtnl_link_stats64 = 200,
    rtnl_link_stats = 96,
    inet_diag_sockid = 48,
    inet_diag_req_v2 = 56,
    inet_diag_msg = 72,
    inet_diag_meminfo = 16,
    unix_diag_req = 24,
    unix_diag_msg = 16,
    unix_diag_rqlen = 8,
    netlink_diag_req = 20,
    netlink_diag_msg = 28,
}

/// Protocols, flags and types of all netlink messages, and socket options (netlink(7)).
#[expect(missing_docs, reason = "the names of netlink(7)")]
mod messages {
    pub const NETLINK_ROUTE: u32 = 0;
    pub const NETLINK_USERSOCK: u32 = 2;
    pub const NETLINK_SOCK_DIAG: u32 = 4;
    pub const NETLINK_KOBJECT_UEVENT: u32 = 15;
    pub const NETLINK_GENERIC: u32 = 16;

    pub const NLM_F_REQUEST: u16 = 0x1;
    pub const NLM_F_MULTI: u16 = 0x2;
    pub const NLM_F_ACK: u16 = 0x4;
    pub const NLM_F_ECHO: u16 = 0x8;
    pub const NLM_F_DUMP_FILTERED: u16 = 0x20;
    pub const NLM_F_ROOT: u16 = 0x100;
    pub const NLM_F_MATCH: u16 = 0x200;
    pub const NLM_F_DUMP: u16 = NLM_F_ROOT | NLM_F_MATCH;
    pub const NLM_F_REPLACE: u16 = 0x100;
    pub const NLM_F_EXCL: u16 = 0x200;
    pub const NLM_F_CREATE: u16 = 0x400;
    pub const NLM_F_APPEND: u16 = 0x800;
    pub const NLM_F_CAPPED: u16 = 0x100;
    pub const NLM_F_ACK_TLVS: u16 = 0x200;

    pub const NLMSG_NOOP: u16 = 1;
    pub const NLMSG_ERROR: u16 = 2;
    pub const NLMSG_DONE: u16 = 3;
    pub const NLMSG_MIN_TYPE: u16 = 16;

    pub const NLMSGERR_ATTR_MSG: u16 = 1;
    pub const NLMSGERR_ATTR_OFFS: u16 = 2;

    pub const NLA_F_NESTED: u16 = 1 << 15;
    pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;

    pub const SOL_NETLINK: u32 = 270;
    pub const NETLINK_ADD_MEMBERSHIP: u32 = 1;
    pub const NETLINK_DROP_MEMBERSHIP: u32 = 2;
    pub const NETLINK_PKTINFO: u32 = 3;
    pub const NETLINK_BROADCAST_ERROR: u32 = 4;
    pub const NETLINK_NO_ENOBUFS: u32 = 5;
    pub const NETLINK_LIST_MEMBERSHIPS: u32 = 9;
    pub const NETLINK_CAP_ACK: u32 = 10;
    pub const NETLINK_EXT_ACK: u32 = 11;
    pub const NETLINK_GET_STRICT_CHK: u32 = 12;

    pub const GENL_ID_CTRL: u16 = 0x10;
    pub const CTRL_CMD_NEWFAMILY: u8 = 1;
    pub const CTRL_CMD_GETFAMILY: u8 = 3;
    pub const CTRL_ATTR_FAMILY_ID: u16 = 1;
    pub const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    pub const CTRL_ATTR_VERSION: u16 = 3;
    pub const CTRL_ATTR_HDRSIZE: u16 = 4;
    pub const CTRL_ATTR_MAXATTR: u16 = 5;

    pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
    pub const INET_DIAG_MEMINFO: u16 = 1;
    pub const INET_DIAG_SHUTDOWN: u16 = 8;
    pub const UNIX_DIAG_NAME: u16 = 0;
    pub const UNIX_DIAG_PEER: u16 = 2;
    pub const UNIX_DIAG_RQLEN: u16 = 4;
    pub const UNIX_DIAG_SHUTDOWN: u16 = 6;
    pub const UDIAG_SHOW_NAME: u32 = 0x1;
    pub const UDIAG_SHOW_PEER: u32 = 0x4;
    pub const UDIAG_SHOW_RQLEN: u32 = 0x10;
}

/// Types, groups and attributes of NETLINK_ROUTE (rtnetlink(7)).
#[expect(missing_docs, reason = "the names of rtnetlink(7)")]
mod route {
    pub const RTM_NEWLINK: u16 = 16;
    pub const RTM_DELLINK: u16 = 17;
    pub const RTM_GETLINK: u16 = 18;
    pub const RTM_SETLINK: u16 = 19;
    pub const RTM_NEWADDR: u16 = 20;
    pub const RTM_DELADDR: u16 = 21;
    pub const RTM_GETADDR: u16 = 22;
    pub const RTM_NEWROUTE: u16 = 24;
    pub const RTM_DELROUTE: u16 = 25;
    pub const RTM_GETROUTE: u16 = 26;
    pub const RTM_NEWNEIGH: u16 = 28;
    pub const RTM_DELNEIGH: u16 = 29;
    pub const RTM_GETNEIGH: u16 = 30;
    pub const RTM_NEWRULE: u16 = 32;
    pub const RTM_GETRULE: u16 = 34;
    pub const RTM_MAX: u16 = 123;

    pub const RTNLGRP_LINK: u32 = 1;
    pub const RTNLGRP_NEIGH: u32 = 3;
    pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
    pub const RTNLGRP_IPV4_ROUTE: u32 = 7;

    pub const IFLA_ADDRESS: u16 = 1;
    pub const IFLA_BROADCAST: u16 = 2;
    pub const IFLA_IFNAME: u16 = 3;
    pub const IFLA_MTU: u16 = 4;
    pub const IFLA_LINK: u16 = 5;
    pub const IFLA_QDISC: u16 = 6;
    pub const IFLA_STATS: u16 = 7;
    pub const IFLA_MASTER: u16 = 10;
    pub const IFLA_TXQLEN: u16 = 13;
    pub const IFLA_OPERSTATE: u16 = 16;
    pub const IFLA_LINKMODE: u16 = 17;
    pub const IFLA_LINKINFO: u16 = 18;
    pub const IFLA_NET_NS_PID: u16 = 19;
    pub const IFLA_STATS64: u16 = 23;
    pub const IFLA_AF_SPEC: u16 = 26;
    pub const IFLA_GROUP: u16 = 27;
    pub const IFLA_NET_NS_FD: u16 = 28;
    pub const IFLA_EXT_MASK: u16 = 29;
    pub const IFLA_PROMISCUITY: u16 = 30;
    pub const IFLA_NUM_TX_QUEUES: u16 = 31;
    pub const IFLA_NUM_RX_QUEUES: u16 = 32;
    pub const IFLA_CARRIER: u16 = 33;
    pub const IFLA_CARRIER_CHANGES: u16 = 35;
    pub const IFLA_LINK_NETNSID: u16 = 37;
    pub const IFLA_NEW_IFINDEX: u16 = 49;
    pub const IFLA_MIN_MTU: u16 = 50;
    pub const IFLA_MAX_MTU: u16 = 51;
    pub const IFLA_ALT_IFNAME: u16 = 53;

    pub const IFLA_INFO_KIND: u16 = 1;
    pub const IFLA_INFO_DATA: u16 = 2;
    pub const IFLA_INFO_SLAVE_KIND: u16 = 4;
    pub const VETH_INFO_PEER: u16 = 1;
    pub const IFLA_BR_STP_STATE: u16 = 5;
    pub const IFLA_BR_VLAN_FILTERING: u16 = 7;
    pub const IFLA_INET_CONF: u16 = 1;

    pub const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

    pub const IFA_ADDRESS: u16 = 1;
    pub const IFA_LOCAL: u16 = 2;
    pub const IFA_LABEL: u16 = 3;
    pub const IFA_BROADCAST: u16 = 4;
    pub const IFA_CACHEINFO: u16 = 6;
    pub const IFA_FLAGS: u16 = 8;
    pub const IFA_F_SECONDARY: u32 = 0x1;
    pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
    pub const IFA_F_PERMANENT: u32 = 0x80;

    pub const RTA_DST: u16 = 1;
    pub const RTA_SRC: u16 = 2;
    pub const RTA_OIF: u16 = 4;
    pub const RTA_GATEWAY: u16 = 5;
    pub const RTA_PRIORITY: u16 = 6;
    pub const RTA_PREFSRC: u16 = 7;
    pub const RTA_METRICS: u16 = 8;
    pub const RTA_MULTIPATH: u16 = 9;
    pub const RTA_CACHEINFO: u16 = 12;
    pub const RTA_TABLE: u16 = 15;
    pub const RTA_UID: u16 = 25;
    pub const RTAX_MTU: u16 = 2;

    pub const RT_TABLE_UNSPEC: u8 = 0;
    pub const RT_TABLE_COMPAT: u8 = 252;
    pub const RT_TABLE_DEFAULT: u8 = 253;
    pub const RT_TABLE_MAIN: u8 = 254;
    pub const RT_TABLE_LOCAL: u8 = 255;

    pub const RTPROT_UNSPEC: u8 = 0;
    pub const RTPROT_KERNEL: u8 = 2;
    pub const RTPROT_BOOT: u8 = 3;

    pub const RT_SCOPE_UNIVERSE: u8 = 0;
    pub const RT_SCOPE_LINK: u8 = 253;
    pub const RT_SCOPE_HOST: u8 = 254;
    pub const RT_SCOPE_NOWHERE: u8 = 255;

    pub const RTN_UNSPEC: u8 = 0;
    pub const RTN_UNICAST: u8 = 1;
    pub const RTN_LOCAL: u8 = 2;
    pub const RTN_BROADCAST: u8 = 3;
    pub const RTN_MULTICAST: u8 = 5;
    pub const RTN_BLACKHOLE: u8 = 6;
    pub const RTN_UNREACHABLE: u8 = 7;
    pub const RTN_PROHIBIT: u8 = 8;

    pub const RTNH_F_ONLINK: u32 = 4;
    pub const RTNH_F_LINKDOWN: u32 = 16;
    pub const RTM_F_CLONED: u32 = 0x200;
    pub const RTM_F_LOOKUP_TABLE: u32 = 0x1000;

    pub const NDA_DST: u16 = 1;
    pub const NDA_LLADDR: u16 = 2;
    pub const NDA_CACHEINFO: u16 = 3;
    pub const NDA_PROBES: u16 = 4;
    pub const NDA_IFINDEX: u16 = 8;

    pub const NUD_INCOMPLETE: u16 = 0x01;
    pub const NUD_REACHABLE: u16 = 0x02;
    pub const NUD_STALE: u16 = 0x04;
    pub const NUD_DELAY: u16 = 0x08;
    pub const NUD_PROBE: u16 = 0x10;
    pub const NUD_FAILED: u16 = 0x20;
    pub const NUD_NOARP: u16 = 0x40;
    pub const NUD_PERMANENT: u16 = 0x80;

    pub const FRA_PRIORITY: u16 = 6;
    pub const FRA_TABLE: u16 = 15;
    pub const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
    pub const FRA_PROTOCOL: u16 = 21;
    pub const FR_ACT_TO_TBL: u8 = 1;
}

pub use messages::*;
pub use route::*;
