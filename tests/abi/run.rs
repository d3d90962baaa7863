//! Runs cases one after the other, each in a child with a time limit, and prints a line for each.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, setpgid};

use crate::case::{Case, Failure};
use crate::child;

/// A case may take this long; the slowest takes about two seconds under emulation.
const LIMIT: Duration = Duration::from_secs(20);
/// What a child exits with when it has printed `skip`.
const SKIPPED: i32 = 77;

/// How many cases went which way.
#[derive(Debug, Default)]
pub struct Total {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "total: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Whether a name is chosen: a filter is an area (`fs`) or the start of a name (`fs/rename`); `-filter` leaves out; none
/// choose all.
pub fn is_selected(name: &str, filters: &[String]) -> bool {
    let matches = |filter: &str| match filter.contains('/') {
        true => name.starts_with(filter),
        false => name.split('/').next() == Some(filter),
    };
    let (without, with): (Vec<_>, Vec<_>) = filters.iter().partition(|filter| filter.starts_with('-'));
    let is_out = without.iter().any(|filter| matches(&filter[1..]));
    !is_out && (with.is_empty() || with.iter().any(|filter| matches(filter)))
}

/// Runs the cases and counts.
pub fn run(cases: impl Iterator<Item = &'static Case>) -> Total {
    let mut total = Total::default();
    for case in cases {
        match run_one(case) {
            Ok(WaitStatus::Exited(_, 0)) => total.passed += 1,
            Ok(WaitStatus::Exited(_, SKIPPED)) => total.skipped += 1,
            Ok(WaitStatus::Exited(_, 1)) => total.failed += 1,
            Ok(WaitStatus::StillAlive) => fail(&mut total, case, "timeout"),
            Ok(other) => fail(&mut total, case, &format!("ended as {other:?}")),
            Err(error) => fail(&mut total, case, &format!("the runner's own call: {error}")),
        }
    }
    total
}

fn fail(total: &mut Total, case: &Case, reason: &str) {
    total.failed += 1;
    println!("FAIL {}: {reason}", case.name);
}

/// Runs a case in a child that leads a process group of its own, so that what it leaves behind can be ended.
fn run_one(case: &'static Case) -> nix::Result<WaitStatus> {
    let directory = format!("/tmp/{}.{}", case.name.replace('/', "."), std::process::id());
    let started = std::fs::create_dir_all(&directory);
    let child = child::fork(|| {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        match started {
            Ok(()) => {
                if let Err(error) = chdir(directory.as_str()) {
                    return report(case, Err(Failure::Wrong(format!("chdir {directory}: {error}"))));
                }
            }
            Err(error) => return report(case, Err(Failure::Wrong(format!("mkdir {directory}: {error}")))),
        }
        report(case, (case.run)())
    })?;
    let status = wait_limited(child.pid);
    let _ = killpg(child.pid, Signal::SIGKILL);
    if matches!(status, Ok(WaitStatus::StillAlive)) {
        let _ = kill(child.pid, Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(50));
    }
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
    {
    }
    let _ = std::fs::remove_dir_all(&directory);
    status
}

/// Prints the line of a case that ran to its end; returns the child's exit code.
fn report(case: &Case, outcome: Result<(), Failure>) -> i32 {
    let (line, code) = match outcome {
        Ok(()) => (format!("ok {}\n", case.name), 0),
        Err(Failure::Wrong(reason)) => (format!("FAIL {}: {reason}\n", case.name), 1),
        Err(Failure::Skipped(reason)) => (format!("skip {}: {reason}\n", case.name), SKIPPED),
    };
    // One write, so that lines of the kernel's own console do not break it up.
    let _ = std::io::stdout().write_all(line.as_bytes());
    code
}

/// Polls rather than sets an alarm: an alarm would be in the way of the cases, and a hang may be in signals themselves.
fn wait_limited(pid: Pid) -> nix::Result<WaitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        let status = waitpid(pid, Some(WaitPidFlag::WNOHANG))?;
        if status != WaitStatus::StillAlive || start.elapsed() > LIMIT {
            return Ok(status);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
