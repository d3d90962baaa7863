//! New addresses for a packet, and what that means to its checksums (RFC 1624: they are corrected, not made anew, so a wrong one stays
//! wrong).

use crate::tuple::{Endpoint, Tuple, parts};
use smoltcp::wire::{IpProtocol, Ipv4Packet};

/// Where a packet comes from and goes to from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// From.
    pub source: Endpoint,
    /// To.
    pub destination: Endpoint,
}

/// What is in a packet's transport checksum field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sum {
    /// The checksum.
    #[default]
    Whole,
    /// The pseudo-header's sum, not inverted: the rest is still to be added.
    PseudoHeader,
}

impl Translation {
    pub(crate) fn of(tuple: Tuple) -> Self {
        Self { source: tuple.source, destination: tuple.destination }
    }

    /// That of a packet that is quoted in an answer to one translated so.
    pub(crate) fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }
}

/// Corrects an inverted sum for a word that changes.
fn correct(sum: u16, old: u16, new: u16) -> u16 {
    !add(add(!sum, !old), new)
}

/// Adds with the carry around.
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

fn words(endpoint: Endpoint) -> [u16; 2] {
    let bits = endpoint.address.to_bits();
    [(bits >> 16) as u16, bits as u16]
}

/// Rewrites a packet that is whole, or quoted and cut; `None` if it has no flow's headers.
pub(crate) fn rewrite(packet: &mut [u8], new: Translation, sum: Sum) -> Option<()> {
    let old = Tuple::of(packet)?;
    let (ip, _) = parts(packet)?;
    let (header_len, protocol) = (usize::from(ip.header_len()), ip.next_header());
    let old_words = [words(old.source), words(old.destination)].into_iter().flatten();
    let new_words = [words(new.source), words(new.destination)].into_iter().flatten();
    let addresses = old_words.zip(new_words);

    let mut ip = Ipv4Packet::new_unchecked(&mut *packet);
    ip.set_src_addr(new.source.address);
    ip.set_dst_addr(new.destination.address);
    let header_sum = addresses.clone().fold(ip.checksum(), |sum, (old, new)| correct(sum, old, new));
    ip.set_checksum(header_sum);

    let transport = packet.get_mut(header_len..)?;
    let (ports_at, ports, field, counts_addresses) = match protocol {
        IpProtocol::Icmp => (4..6, [new.source.port, 0], 2, false),
        IpProtocol::Tcp => (0..4, [new.source.port, new.destination.port], 16, true),
        _ => (0..4, [new.source.port, new.destination.port], 6, true),
    };
    let old_ports = [old.source.port, old.destination.port];
    for ((at, old), new) in ports_at.step_by(2).zip(old_ports).zip(ports) {
        transport.get_mut(at..at + 2)?.copy_from_slice(&new.to_be_bytes());
        if sum == Sum::Whole || !counts_addresses {
            change_sum(transport, field, protocol, |sum| correct(sum, old, new));
        }
    }
    if counts_addresses {
        change_sum(transport, field, protocol, |field| {
            addresses.fold(field, |field, (old, new)| match sum {
                Sum::Whole => correct(field, old, new),
                Sum::PseudoHeader => add(add(field, !old), new),
            })
        });
    }
    Some(())
}

/// Changes a checksum, where there is one: a quoted packet may be cut before it, and UDP may do without (RFC 768).
fn change_sum(transport: &mut [u8], at: usize, protocol: IpProtocol, change: impl FnOnce(u16) -> u16) {
    let Some(field) = transport.get_mut(at..at + 2) else { return };
    let old = u16::from_be_bytes([field[0], field[1]]);
    if protocol == IpProtocol::Udp && old == 0 {
        return;
    }
    let new = match change(old) {
        0 if protocol == IpProtocol::Udp => u16::MAX,
        new => new,
    };
    field.copy_from_slice(&new.to_be_bytes());
}
