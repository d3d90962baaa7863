//! Fragments on their way in: `coffer_fragments` puts them together.

use super::icmp::{self, Trouble};
use crate::net::ns::NetNs;
use crate::net::packet::{HEADROOM, Packet};
use crate::net::timers;
use alloc::sync::Arc;
use coffer_fragments::{Assembler, Fragment, Key, Outcome};
use ostd::timer::now_ns;
use smoltcp::wire::Ipv4Packet;

/// Bytes that the incomplete datagrams of a namespace take at most (Linux's ipfrag_high_thresh), and how long they wait (ipfrag_time).
const LIMIT: usize = 4 << 20;
const PATIENCE_NS: u64 = 30 * 1_000_000_000;

/// No datagrams.
pub const fn none() -> Assembler {
    Assembler::new(LIMIT, PATIENCE_NS)
}

/// The packet itself if it is whole, or the datagram that it was the last missing part of.
pub fn complete(namespace: &Arc<NetNs>, packet: Packet) -> Option<Packet> {
    let ip = packet.ip();
    if !ip.more_frags() && ip.frag_offset() == 0 {
        return Some(packet);
    }
    let key = Key {
        source: ip.src_addr().to_bits(),
        destination: ip.dst_addr().to_bits(),
        ident: ip.ident(),
        protocol: ip.next_header().into(),
    };
    let (header, payload) = packet.bytes().split_at(ip.header_len().into());
    let fragment = Fragment { header, payload, offset: ip.frag_offset().into(), has_more: ip.more_frags() };
    let outcome = namespace.fragments.lock().add(key, &fragment, HEADROOM, now_ns());
    match outcome {
        Outcome::Waiting => {
            timers::request();
            None
        }
        Outcome::Dropped => {
            if let Some(link) = &packet.link {
                link.counters.drop_received();
            }
            None
        }
        Outcome::Complete(bytes) => {
            let mut whole = Packet::from_bytes(bytes, HEADROOM)?;
            let total_len = u16::try_from(whole.len()).ok()?;
            let mut ip = Ipv4Packet::new_unchecked(whole.bytes_mut());
            ip.set_total_len(total_len);
            ip.clear_flags();
            ip.set_frag_offset(0);
            ip.fill_checksum();
            whole.link = packet.link;
            whole.is_for_one = packet.is_for_one;
            Some(whole)
        }
    }
}

/// Gives up what has waited too long; `true`: more waits.
pub fn tick(namespace: &Arc<NetNs>) -> bool {
    let mut fragments = namespace.fragments.lock();
    let expired = fragments.expire(now_ns());
    let is_pending = !fragments.is_empty();
    drop(fragments);
    for quote in expired {
        if let Ok(mut packet) = Packet::copy_of(&quote) {
            packet.is_for_one = true;
            icmp::send_error(namespace, &packet, Trouble::Reassembly);
        }
    }
    is_pending
}
