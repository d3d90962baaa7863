//! What has arrived and was not read yet, of frames.

use super::frame::Frame;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use coffer_abi_types::packet::{TP_STATUS_CSUMNOTREADY, TP_STATUS_USER, sockaddr_ll, tpacket_stats};
use ostd::sync::SpinLock;

/// What a frame counts for beside its bytes.
const OVERHEAD: usize = 256;

/// A frame, as its reader gets it.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where in them the header of the network layer is.
    pub network_at: usize,
    /// By which link, and from whom.
    pub from: sockaddr_ll,
    /// TP_STATUS_*.
    pub status: u32,
}

/// Frames in order.
#[derive(Debug, Default)]
pub struct Queue(SpinLock<State>);

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Arrived>,
    charge: usize,
    counts: tpacket_stats,
}

impl Queue {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.lock().frames.is_empty()
    }

    /// What is there counts for so much.
    pub fn charge(&self) -> usize {
        self.0.lock().charge
    }

    /// Bytes of the first.
    pub fn first_len(&self) -> usize {
        self.0.lock().frames.front().map_or(0, |frame| frame.bytes.len())
    }

    /// Adds a copy of a frame, with or without its Ethernet header, if there is room by `limit`.
    pub fn push(&self, frame: &Frame<'_>, has_header: bool, limit: usize) -> bool {
        let header = if has_header { &frame.header[..] } else { &[] };
        let len = header.len() + frame.payload.len();
        let mut bytes = Vec::new();
        let has_memory = bytes.try_reserve_exact(len).is_ok();
        if has_memory {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(frame.payload);
        }
        let mut state = self.0.lock();
        state.counts.tp_packets = state.counts.tp_packets.wrapping_add(1);
        if !has_memory || state.charge > limit || state.frames.try_reserve(1).is_err() {
            state.counts.tp_drops = state.counts.tp_drops.wrapping_add(1);
            return false;
        }
        state.charge += len + OVERHEAD;
        let status = if frame.lacks_checksum { TP_STATUS_CSUMNOTREADY } else { 0 } | TP_STATUS_USER;
        let arrived = Arrived { bytes, network_at: header.len(), from: frame.from, status };
        state.frames.push_back(arrived);
        true
    }

    /// Takes the first; with `is_peek` it stays.
    pub fn next(&self, is_peek: bool) -> Option<Arrived> {
        let mut state = self.0.lock();
        if is_peek {
            return state.frames.front().cloned();
        }
        let frame = state.frames.pop_front()?;
        state.charge -= frame.bytes.len() + OVERHEAD;
        Some(frame)
    }

    /// Frames that were wanted, and those of them that found no room, since the last time.
    pub fn take_counts(&self) -> tpacket_stats {
        core::mem::take(&mut self.0.lock().counts)
    }
}
