//! Requests and responses of a virtio SCSI host (virtio 1.2, 5.6.6.1).

use crate::Command;

/// Bytes of a request before its data.
pub const REQUEST_LEN: usize = 51;
/// Bytes of sense data: what devices have when nobody asks for less.
pub const SENSE_LEN: usize = 96;
/// Bytes of a response before its data.
pub const RESPONSE_LEN: usize = 12 + SENSE_LEN;

const OK: u8 = 0;
const GOOD: u8 = 0;

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With as many bytes of data less than were asked for.
    Good {
        /// How many.
        missing: u32,
    },
    /// The unit has something to say first: send it again.
    Attention,
    /// The unit refuses, or has failed.
    Refused,
    /// There is no such target or unit.
    Absent,
}

/// A unit's address: a target, and flat addressing in the first level.
pub fn address(target: u8, unit: u16) -> [u8; 8] {
    let [high, low] = unit.to_be_bytes();
    [1, target, 0x40 | high & 0x3f, low, 0, 0, 0, 0]
}

/// The request for a command to a unit.
pub fn request(address: [u8; 8], tag: u64, command: &Command) -> [u8; REQUEST_LEN] {
    let mut bytes = [0; REQUEST_LEN];
    bytes[..8].copy_from_slice(&address);
    bytes[8..16].copy_from_slice(&tag.to_le_bytes());
    // Simple task attribute, no priority, no reference number: three zeros.
    bytes[19..].copy_from_slice(&command.0);
    bytes
}

/// Reads a response.
pub fn response(bytes: &[u8; RESPONSE_LEN]) -> Ending {
    const BAD_TARGET: u8 = 3;
    let word = |at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
    };
    let (sense_len, missing) = (word(0) as usize, word(4));
    let (status, response) = (bytes[10], bytes[11]);
    let sense = &bytes[12..];
    let sense = sense.get(..sense_len).unwrap_or(sense);
    match (response, status) {
        (OK, GOOD) => Ending::Good { missing },
        (OK, _) if crate::answer::is_attention(sense) => Ending::Attention,
        (BAD_TARGET, _) => Ending::Absent,
        _ => Ending::Refused,
    }
}
