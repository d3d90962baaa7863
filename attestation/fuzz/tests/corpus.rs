//! Inputs that the fuzzer has kept, given to their targets once more: one that once was a finding would be one again.
#![expect(
    clippy::tests_outside_test_module,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use attestation_fuzz::TARGETS;

#[test]
fn every_kept_input_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in &TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(corpus.join(target.name)).unwrap() {
            (target.run)(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "nothing is kept for {}", target.name);
    }
}
