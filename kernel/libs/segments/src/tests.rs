use super::{
    FLAG_ACK, FLAG_PUSH, FLAGS, IP_CHECKSUM, IP_LEN, MAX_LEN, OFFSET, SEQUENCE, Segment, TCP_LEN, Train,
};
use proptest::prelude::*;
use std::vec::Vec;

extern crate std;

const SIZE: usize = 1460;

/// A segment with these bytes at this place of its flow.
fn packet(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = std::vec![0; IP_LEN + TCP_LEN];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&((IP_LEN + TCP_LEN + payload.len()) as u16).to_be_bytes());
    packet[4..6].copy_from_slice(&(sequence as u16).to_be_bytes());
    packet[6] = 0x40;
    packet[8] = 64;
    packet[9] = 6;
    packet[12..20].copy_from_slice(&[10, 0, 2, 2, 10, 0, 2, 15]);
    packet[20..24].copy_from_slice(&[0x30, 0x39, 0, 80]);
    packet[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
    packet[OFFSET] = 5 << 4;
    packet[FLAGS] = FLAG_ACK;
    packet.extend_from_slice(payload);
    seal(&mut packet);
    packet
}

/// Puts the IP checksum in.
fn seal(packet: &mut [u8]) {
    packet[IP_CHECKSUM..IP_CHECKSUM + 2].fill(0);
    let sum = !coffer_checksum::sum(&packet[..IP_LEN]);
    packet[IP_CHECKSUM..IP_CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Joins as many of the packets as the first one takes; how many, and what came of it.
fn join(packets: &[Vec<u8>]) -> (usize, Vec<u8>) {
    let mut whole = packets[0].clone();
    let first = Segment::parse(&whole).unwrap();
    let Some(mut train) = Train::start(&first) else { return (1, whole) };
    let mut count = 1;
    for packet in &packets[1..] {
        let Some(segment) = Segment::parse(packet) else { break };
        if !train.takes(&whole, &segment, packet) {
            break;
        }
        whole.extend_from_slice(&packet[segment.headers_len..]);
        train.add(&segment);
        count += 1;
    }
    train.write_headers(&mut whole);
    (count, whole)
}

#[test]
fn what_follows_is_joined_and_reads_as_one_segment() {
    let mut packets = [packet(u32::MAX - 1000, &[1; SIZE]), packet(459, &[2; SIZE]), packet(1919, &[3; 7])];
    packets[2][FLAGS] |= FLAG_PUSH;
    let (count, whole) = join(&packets);
    assert_eq!(count, 3);
    let segment = Segment::parse(&whole).expect("its lengths and checksum fit");
    assert_eq!(segment.payload_len, 2 * SIZE + 7);
    assert_eq!(segment.sequence, u32::MAX - 1000);
    assert!(segment.is_pushed);
    let payload = &whole[segment.headers_len..];
    assert!(payload[..SIZE].iter().all(|byte| *byte == 1) && payload[2 * SIZE..] == [3; 7]);
}

#[test]
fn a_short_or_pushed_segment_is_the_last() {
    let short = [packet(0, &[0; SIZE]), packet(1460, &[0; 10]), packet(1470, &[0; 10])];
    assert_eq!(join(&short).0, 2);
    let mut pushed = [packet(0, &[0; SIZE]), packet(1460, &[0; SIZE]), packet(2920, &[0; SIZE])];
    pushed[1][FLAGS] |= FLAG_PUSH;
    assert_eq!(join(&pushed).0, 2);
    pushed[0][FLAGS] |= FLAG_PUSH;
    assert_eq!(join(&pushed).0, 1);
}

#[test]
fn a_longer_one_a_gap_and_a_repetition_are_not_joined() {
    for second in [packet(100, &[0; 101]), packet(101, &[0; 100]), packet(0, &[0; 100])] {
        assert_eq!(join(&[packet(0, &[0; 100]), second]).0, 1);
    }
}

#[test]
fn the_whole_is_an_ip_packet() {
    let packets: Vec<_> = (0..60).map(|index| packet(index * SIZE as u32, &[0; SIZE])).collect();
    let (count, whole) = join(&packets);
    assert!(whole.len() <= MAX_LEN && whole.len() + SIZE > MAX_LEN);
    assert_eq!(count, (MAX_LEN - IP_LEN - TCP_LEN) / SIZE);
}

#[test]
fn what_is_not_a_whole_segment_is_not_parsed() {
    let good = packet(0, &[0; 20]);
    assert!(Segment::parse(&good).is_some());
    // A later fragment, a first one, options, another protocol, a header that is too long, one that is too short.
    for (at, value) in [(7, 1), (6, 0x20), (0, 0x46), (9, 17), (OFFSET, 0xf0), (OFFSET, 0x40)] {
        let mut bad = good.clone();
        bad[at] = value;
        seal(&mut bad);
        assert!(Segment::parse(&bad).is_none(), "byte {at} is {value}");
    }
    let mut corrupt = good.clone();
    corrupt[8] ^= 1;
    assert!(Segment::parse(&corrupt).is_none(), "the checksum is looked at");
    assert!(Segment::parse(&good[..59]).is_none(), "it is cut off");
    assert!(Segment::parse(&good[..39]).is_none());
}

#[test]
fn control_segments_are_not_joined() {
    for flags in
        [0, FLAG_ACK | 1, FLAG_ACK | 2, FLAG_ACK | 4, FLAG_ACK | 0x20, FLAG_ACK | 0x40, FLAG_ACK | 0x80]
    {
        let mut second = packet(100, &[0; 100]);
        second[FLAGS] = flags;
        assert_eq!(join(&[packet(0, &[0; 100]), second]).0, 1, "{flags:#x}");
    }
    assert_eq!(join(&[packet(0, &[0; 100]), packet(100, &[])]).0, 1, "nothing but an acknowledgement");
}

#[test]
fn a_padded_segment_is_known_and_not_joined() {
    let mut padded = packet(100, &[0; 3]);
    padded.extend_from_slice(&[0; 3]);
    assert_eq!(
        Segment::parse(&padded).map(|segment| segment.payload_len),
        Some(3),
        "its flow must be in order"
    );
    assert_eq!(join(&[packet(0, &[0; 100]), padded]).0, 1);
}

proptest! {
    /// Whatever differs in the headers beside what counts and covers them, keeps segments apart.
    #[test]
    fn another_header_is_not_joined(at in 0..IP_LEN + TCP_LEN, flip in 1_u8..) {
        let first = packet(0, &[0; 100]);
        let mut second = packet(100, &[0; 100]);
        second[at] ^= flip;
        seal(&mut second);
        let counts = (4..6).contains(&at) || (10..12).contains(&at) || (36..38).contains(&at)
            || at == FLAGS && flip == FLAG_PUSH;
        prop_assert_eq!(join(&[first, second]).0 == 2, counts);
    }

    /// Any bytes at all are only read.
    #[test]
    fn parsing_does_not_fail(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Segment::parse(&bytes);
    }
}
