//! One target under libFuzzer: `ATTESTATION_FUZZ_TARGET=quote attestation-fuzz FOLDER…`, with libFuzzer's own arguments. With
//! `ATTESTATION_FUZZ_SEEDS`, the target's seeds are written there first.
#![forbid(unsafe_code)]
#![no_main]

use std::sync::LazyLock;
use std::{env, fs};

use attestation_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = env::var("ATTESTATION_FUZZ_TARGET").unwrap_or_default();
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("ATTESTATION_FUZZ_TARGET names one of the targets")
});

fn write_seeds() {
    let Some(folder) = env::var_os("ATTESTATION_FUZZ_SEEDS") else { return };
    for (index, seed) in (TARGET.seeds)().iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{index}"));
        fs::write(path, seed).expect("the folder for seeds can be written to");
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| (TARGET.run)(bytes));
