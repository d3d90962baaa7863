//! Controls: work in which no kernel has a part.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use crate::bench::{Bench, EACH, Unit, time};

pub const MIB: usize = 1 << 20;

pub const BENCHES: &[Bench] = &[
    Bench { name: "cpu_loop", unit: EACH, run: cpu_loop },
    Bench { name: "memcpy_1m", unit: Unit::Rate { bytes: MIB as u32 }, run: memcpy },
];

fn cpu_loop(count: u64) -> io::Result<Duration> {
    let mut state = 88_172_645_463_325_252_u64;
    time(count, || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        black_box(state);
        Ok(())
    })
}

fn memcpy(count: u64) -> io::Result<Duration> {
    let (source, mut target) = (vec![1_u8; MIB], vec![2_u8; MIB]);
    time(count, || {
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
        Ok(())
    })
}
