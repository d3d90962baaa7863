//! Numbers of netdevice(7) and rtnetlink(7).

/// Up.
pub const IFF_UP: u32 = 1 << 0;
/// It has a broadcast address.
pub const IFF_BROADCAST: u32 = 1 << 1;
/// The loopback link.
pub const IFF_LOOPBACK: u32 = 1 << 3;
/// Something is at the other end.
pub const IFF_RUNNING: u32 = 1 << 6;
/// No neighbour look-ups.
pub const IFF_NOARP: u32 = 1 << 7;
/// All frames are wanted.
pub const IFF_PROMISC: u32 = 1 << 8;
/// All multicast frames are wanted.
pub const IFF_ALLMULTI: u32 = 1 << 9;
/// It carries multicast.
pub const IFF_MULTICAST: u32 = 1 << 12;
/// The driver sees the other end.
pub const IFF_LOWER_UP: u32 = 1 << 16;

/// ARP hardware type of Ethernet.
pub const ARPHRD_ETHER: u16 = 1;
/// That of loopback.
pub const ARPHRD_LOOPBACK: u16 = 772;
