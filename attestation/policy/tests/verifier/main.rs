//! The whole verifier, evidence to verdict: [`verdicts`] what is refused and by which check, [`logs`] what explains registers, [`vectors`]
//! genuine evidence, [`differential`] another verifier on the same. [`scene`] makes evidence of a test PKI.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

mod differential;
mod logs;
mod scene;
mod vectors;
mod verdicts;
