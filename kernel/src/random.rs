//! Random bytes for user space and for layouts: ChaCha20, keyed by the hardware's entropy, keyed anew after every request from its own
//! output, so that what was given out cannot be had again from the state that is left (fast key erasure).

use ostd::sync::{Lazy, SpinLock};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const KEY_LEN: usize = 32;
/// Bytes given out between two mixings-in of fresh entropy.
const RESEED_AFTER: usize = 1 << 20;
/// The most that is made under one hold of the lock.
const CHUNK: usize = 4096;

struct Generator {
    stream: ChaCha20Rng,
    given_out: usize,
}

static GENERATOR: Lazy<SpinLock<Generator>> = Lazy::new(|| {
    let mut key = [0; KEY_LEN];
    // A machine without a source of randomness must not hand out keys that can be guessed.
    ostd::random::fill(&mut key).expect("the CPU has RDRAND or RDSEED");
    SpinLock::new(Generator { stream: ChaCha20Rng::from_seed(key), given_out: 0 })
});

/// Fills `out` with random bytes.
pub fn fill(out: &mut [u8]) {
    for chunk in out.chunks_mut(CHUNK) {
        let mut generator = GENERATOR.lock();
        if generator.given_out > RESEED_AFTER {
            let mut fresh = [0; KEY_LEN];
            // Failing to get more is no worse than not having asked.
            if ostd::random::fill(&mut fresh).is_ok() {
                generator.mix(&fresh);
            }
            generator.given_out = 0;
        }
        generator.stream.fill_bytes(chunk);
        generator.given_out += chunk.len();
        generator.mix(&[0; KEY_LEN]);
    }
}

/// Mixes bytes of any quality into the state: it can only get better.
pub fn stir(bytes: &[u8]) {
    for chunk in bytes.chunks(KEY_LEN) {
        GENERATOR.lock().mix(chunk);
    }
}

impl Generator {
    /// A new key from the stream and `bytes`.
    fn mix(&mut self, bytes: &[u8]) {
        let mut key = [0; KEY_LEN];
        self.stream.fill_bytes(&mut key);
        for (key, byte) in key.iter_mut().zip(bytes) {
            *key ^= byte;
        }
        self.stream = ChaCha20Rng::from_seed(key);
    }
}
