//! What tables of sockets tell of one: /proc/net/{tcp,udp,raw} and sock_diag(7) are made of it.
#![expect(dead_code, reason = "the families to come fill it in")]

use super::options::Identity;
use core::net::SocketAddrV4;

/// States of a socket, as tcp(7) and inet_diag number them. A datagram socket is [`State::Established`] or [`State::Close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Close = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

/// What a timer of a connection is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Timer {
    #[default]
    None = 0,
    Retransmit = 1,
    KeepAlive = 2,
    TimeWait = 3,
    ZeroWindow = 4,
}

/// One socket of AF_INET.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Its own address; of a raw socket the port is the protocol.
    pub local: SocketAddrV4,
    /// The peer's, or 0.0.0.0:0.
    pub remote: SocketAddrV4,
    /// Where it is in its life.
    pub state: State,
    /// Bytes to read; of a listener, connections to accept.
    pub receive_queue: u32,
    /// Bytes that the peer has not acknowledged; of a listener, the most connections to accept.
    pub send_queue: u32,
    /// What it waits for.
    pub timer: Timer,
    /// When (monotonic).
    pub timer_ns: u64,
    /// Unanswered transmissions.
    pub retransmits: u8,
    /// The link that it is bound to, or 0.
    pub link: u32,
    /// Datagrams thrown away for lack of room.
    pub drops: u32,
    /// Its open file and its user.
    pub identity: Identity,
}
