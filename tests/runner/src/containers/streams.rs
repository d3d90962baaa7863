//! Output, input, exit codes and signals.

use anyhow::ensure;

use super::{Test, busybox, usual};
use crate::machine::tail;

pub fn tests() -> Vec<Test> {
    vec![
        busybox("output_and_error_output", "echo out; echo err >&2", usual, |outcome| {
            outcome.expect_output("out\n")?;
            ensure!(outcome.stderr == "err\n", "error output {:?}", outcome.stderr);
            Ok(())
        }),
        busybox("exit_code", "exit 37", usual, |outcome| outcome.expect_exit(37)),
        // The first process of a PID namespace cannot end itself by a signal: only from outside.
        busybox(
            "end_by_signal",
            "sh -c 'kill -TERM $$'; echo $?; while :; do sleep 0.1; done",
            |setting| setting.signal_at = Some(("143", 9)),
            |outcome| outcome.expect_exit(128 + 9),
        ),
        busybox(
            "input",
            "cat",
            |setting| setting.stdin = vec![b'i'; 300_000],
            |outcome| {
                outcome.expect_exit(0)?;
                ensure!(outcome.stdout.len() == 300_000, "{} bytes came back", outcome.stdout.len());
                Ok(())
            },
        ),
        busybox("large_output", "seq 1 200000 | md5sum; seq 1 200000", usual, |outcome| {
            const CHECKSUM_LINE: usize = 36;
            const NUMBERS: usize = 1_288_895;
            outcome.expect_exit(0)?;
            ensure!(outcome.stdout.ends_with("199999\n200000\n"), "{:?}", tail(&outcome.stdout));
            ensure!(outcome.stdout.len() == CHECKSUM_LINE + NUMBERS, "{} bytes", outcome.stdout.len());
            Ok(())
        }),
        busybox(
            "signal_from_outside",
            "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done",
            |setting| setting.signal_at = Some(("ready", 15)),
            |outcome| {
                outcome.expect_exit(9)?;
                ensure!(outcome.stdout == "ready\ncaught\n", "{:?}", outcome.stdout);
                Ok(())
            },
        ),
    ]
}
