//! What is sent, and what of what comes back is believed.

use alloc::vec;

use crate::Command;
use crate::answer::{Capacity, capacity, is_attention, is_disk, is_protected, serial, units};
use crate::wire::{Ending, RESPONSE_LEN, address, request, response};

fn ending(sense: &[u8], missing: u32, status: u8, code: u8) -> Ending {
    let mut bytes = [0; RESPONSE_LEN];
    bytes[..4].copy_from_slice(&(sense.len() as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&missing.to_le_bytes());
    bytes[10] = status;
    bytes[11] = code;
    bytes[12..12 + sense.len()].copy_from_slice(sense);
    response(&bytes)
}

#[test]
fn a_request_stands_where_the_specification_has_it() {
    let bytes = request(address(7, 0x123), 9, &Command::read(0x0102_0304_0506_0708, 16));
    assert_eq!(bytes[..8], [1, 7, 0x41, 0x23, 0, 0, 0, 0]);
    assert_eq!(bytes[8..19], [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[19..35], [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 16, 0, 0]);
    let bytes = request(address(0, 0), 0, &Command::report_luns(4096));
    assert_eq!(bytes[19..31], [0xa0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0]);
    let bytes = request(address(0, 0), 0, &Command::read_capacity(32));
    assert_eq!(bytes[19..35], [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0]);
}

#[test]
fn endings_are_told_apart() {
    assert_eq!(ending(&[], 0, 0, 0), Ending::Good { missing: 0 });
    assert_eq!(ending(&[], 512, 0, 0), Ending::Good { missing: 512 });
    assert_eq!(ending(&[0x70, 0, 6], 0, 2, 0), Ending::Attention);
    assert_eq!(ending(&[0x72, 6], 0, 2, 0), Ending::Attention);
    assert_eq!(ending(&[0x70, 0, 3], 0, 2, 0), Ending::Refused);
    assert_eq!(ending(&[], 0, 0, 3), Ending::Absent);
    assert_eq!(ending(&[], 0, 0, 9), Ending::Refused);
    assert_eq!(ending(&[], 0, 8, 0), Ending::Refused);
}

#[test]
fn lying_sense_lengths_are_survived() {
    let mut bytes = [0xff; RESPONSE_LEN];
    assert_eq!(response(&bytes), Ending::Refused);
    bytes[11] = 0;
    bytes[12] = 0x70;
    bytes[14] = 6;
    assert_eq!(response(&bytes), Ending::Attention);
    assert!(
        !is_attention(&[]) && !is_attention(&[0x70]) && !is_attention(&[0x72]) && !is_attention(&[0xff; 3])
    );
}

#[test]
fn capacities_are_read_or_refused() {
    let answer = |last: u64, block: u32| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&last.to_be_bytes());
        bytes[8..12].copy_from_slice(&block.to_be_bytes());
        capacity(&bytes)
    };
    assert_eq!(answer(999, 512), Some(Capacity { sectors: 1000, block_shift: 9 }));
    assert_eq!(answer(999, 4096), Some(Capacity { sectors: 8000, block_shift: 12 }));
    for (last, block) in
        [(u64::MAX, 512), (u64::MAX - 1, 512), (u64::MAX >> 4, 4096), (1, 0), (1, 513), (1, 256), (1, 8192)]
    {
        assert_eq!(answer(last, block), None, "{last} {block}");
    }
    assert_eq!(capacity(&[0; 11]), None);
}

#[test]
fn units_are_read_within_the_answer() {
    let mut answer = vec![0; 8 + 5 * 8];
    answer[3] = 4 * 8;
    answer[8 + 8 + 1] = 3;
    answer[8 + 16] = 0x41;
    answer[8 + 17] = 2;
    // A second level: left out.
    answer[8 + 24 + 1] = 4;
    answer[8 + 24 + 3] = 1;
    assert_eq!(units(&answer, 256), [0, 3, 0x102]);
    assert_eq!(units(&answer, 2), [0, 3]);
    answer[..4].fill(0xff);
    assert_eq!(units(&answer, 256), [0, 3, 0x102, 0], "no more than there is");
    assert!(units(&answer[..7], 256).is_empty() && units(&[], 256).is_empty());
}

#[test]
fn other_answers_are_read_within_their_lengths() {
    assert_eq!(serial(b"\0\x80\0\x0ccoffer-imageX"), b"coffer-image");
    assert_eq!(serial(b"\0\x80\0\xff  a"), b"a");
    assert!(serial(b"\0\x80\0").is_empty() && serial(&[]).is_empty());
    assert!(is_protected(&[0, 0, 0x80, 0]) && !is_protected(&[0, 0, 0x10, 0]) && !is_protected(&[0, 0]));
    assert!(is_disk(&[0; 36]) && !is_disk(&[5; 36]) && !is_disk(&[0x20; 36]) && !is_disk(&[0; 4]));
}
