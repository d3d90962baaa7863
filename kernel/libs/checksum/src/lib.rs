//! The internet checksum (RFC 1071), eight bytes at a time.
//!
//! smoltcp's goes two bytes at a time: on a target without vector registers that is most of what a packet costs.
#![no_std]
#![forbid(unsafe_code)]

/// The one's complement sum of `bytes` as big-endian words, not inverted; an odd last byte counts as if a zero came after it. Of bytes that
/// hold their own checksum it is 0xffff if that is right.
pub fn sum(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut total = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for word in words {
            total = add(total, u64::from_ne_bytes(*word));
        }
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        total = add(total, u64::from_ne_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    total = add(total, u64::from_ne_bytes(last));
    // The sum of swapped words is the swapped sum (RFC 1071, 2 (B)), so the order of bytes does not matter until here.
    u16::from_be(fold(total))
}

/// Adds with the carry around.
const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u64
}

const fn fold(total: u64) -> u16 {
    let half = (total >> 32) + (total & 0xffff_ffff);
    let quarter = (half >> 16) + (half & 0xffff);
    let quarter = (quarter >> 16) + (quarter & 0xffff);
    ((quarter >> 16) + (quarter & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::sum;
    use proptest::prelude::*;
    use smoltcp::wire::checksum;
    use std::vec::Vec;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[0xff; 65535]), 0xff00);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_slow_one(bytes in proptest::collection::vec(any::<u8>(), 0..300), fill in any::<u8>()) {
            prop_assert_eq!(sum(&bytes), checksum::data(&bytes));
            let long: Vec<u8> = bytes.iter().copied().chain(core::iter::repeat_n(fill, 60_000)).collect();
            prop_assert_eq!(sum(&long), checksum::data(&long));
        }
    }
}
