//! A flow: its two directions, how far it is, how long it is kept.

use crate::tuple::{Protocol, Tuple, parts};
use smoltcp::wire::TcpPacket;

pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// As the first one went.
    Original,
    /// Back.
    Reply,
}

/// How far a flow is. Times are Linux's (nf_conntrack-sysctl), which are at least those of RFC 5382 and RFC 4787.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Datagrams, none back yet.
    OneWay,
    /// Datagrams both ways.
    TwoWay,
    /// TCP, nothing but SYN yet.
    Opening,
    /// TCP, answered.
    Answered,
    /// TCP, open.
    Open,
    /// TCP, one side is done.
    HalfClosed,
    /// TCP, both sides are.
    Closed,
    /// TCP, reset; if it goes on regardless, the reset was a lie.
    Reset,
}

impl State {
    fn lifetime_ns(self, protocol: Protocol) -> u64 {
        let seconds = match (self, protocol) {
            (Self::OneWay, _) | (Self::TwoWay, Protocol::Icmp) => 30,
            (Self::TwoWay, _) | (Self::Opening, _) | (Self::HalfClosed, _) | (Self::Closed, _) => 120,
            (Self::Answered, _) => 60,
            (Self::Open, _) => 5 * 24 * 3600,
            (Self::Reset, _) => 10,
        };
        seconds * SECOND_NS
    }
}

/// A flow that is translated.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// As its first packet arrived.
    pub(crate) original: Tuple,
    /// As an answer arrives: to whom the first packet was sent in the end, and from whom.
    pub(crate) reply: Tuple,
    state: State,
    has_ended: [bool; 2],
    pub(crate) due_ns: u64,
    /// Where it stands in the queue of those that end.
    pub(crate) queued_ns: u64,
}

impl Flow {
    pub(crate) fn new(original: Tuple, reply: Tuple, packet: &[u8], now_ns: u64) -> Self {
        let state = match original.protocol {
            Protocol::Udp | Protocol::Icmp => State::OneWay,
            // One that was there before its rule is taken up where it is.
            Protocol::Tcp if flags(packet).is_some_and(|flags| !flags.syn) => State::Answered,
            Protocol::Tcp => State::Opening,
        };
        let due_ns = now_ns + state.lifetime_ns(original.protocol);
        Self { original, reply, state, has_ended: [false; 2], due_ns, queued_ns: due_ns }
    }

    /// Notes a packet.
    pub(crate) fn note(&mut self, direction: Direction, packet: &[u8], now_ns: u64) {
        let protocol = self.original.protocol;
        self.state = match (protocol, flags(packet)) {
            (Protocol::Tcp, Some(flags)) => self.next_tcp(direction, flags),
            (Protocol::Tcp, None) => self.state,
            _ if direction == Direction::Reply => State::TwoWay,
            _ => self.state,
        };
        self.due_ns = now_ns + self.state.lifetime_ns(protocol);
    }

    fn next_tcp(&mut self, direction: Direction, flags: Flags) -> State {
        let ended = &mut self.has_ended[usize::from(direction == Direction::Reply)];
        if flags.rst {
            return State::Reset;
        }
        if flags.syn && direction == Direction::Original {
            // The same ports again, after the end (RFC 1122, 4.2.2.13).
            if matches!(self.state, State::Closed | State::Reset) {
                self.has_ended = [false; 2];
                return State::Opening;
            }
            return self.state;
        }
        *ended |= flags.fin;
        match (self.has_ended, self.state) {
            ([true, true], _) => State::Closed,
            ([false, false], State::Opening) if direction == Direction::Reply => State::Answered,
            ([false, false], State::Opening) => State::Opening,
            ([false, false], _) => State::Open,
            _ => State::HalfClosed,
        }
    }

    /// Whether it may make place for another when there are too many: an open one stays.
    pub(crate) fn is_dispensable(&self) -> bool {
        !matches!(self.state, State::Open | State::TwoWay)
    }
}

#[derive(Clone, Copy)]
struct Flags {
    syn: bool,
    fin: bool,
    rst: bool,
}

fn flags(packet: &[u8]) -> Option<Flags> {
    let (_, transport) = parts(packet)?;
    let tcp = TcpPacket::new_checked(transport).ok()?;
    Some(Flags { syn: tcp.syn(), fin: tcp.fin(), rst: tcp.rst() })
}
