//! What the program does where its output has no reader or no room.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs::File;
use std::process::{Command, Output};

/// Runs `coffer completions bash`, which prints more than a pipe's reader waits for, into `stdout`.
fn completions(stdout: impl Into<std::process::Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let child = command.args(["completions", "bash"]).stdout(stdout).stderr(std::process::Stdio::piped());
    child.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_reader_that_is_gone_ends_it_without_a_word() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = completions(writer);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_is_told_in_one_line() {
    let output = completions(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.starts_with("coffer: cannot print: No space left"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
}
