//! How a benchmark is measured.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setpgid};

/// How long the run that counts shall take. Under `-icount` time is a number of instructions, so a short run is as exact as a
/// long one.
const TARGET: Duration = Duration::from_millis(60);

/// How long a benchmark may take in all before it is given up.
const LIMIT: Duration = Duration::from_secs(20);

const MIB: f64 = 1_048_576.0;

/// What is measured.
#[derive(Debug)]
pub struct Bench {
    /// Its name in the table.
    pub name: &'static str,
    /// What the time of one operation is divided by or turned into.
    pub unit: Unit,
    /// Does this many operations and says how long they took, without what it took to get ready.
    pub run: fn(u64) -> io::Result<Duration>,
}

/// How a result is expressed.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Nanoseconds for one of so many equal parts of an operation.
    Nanoseconds { parts: u32 },
    /// MiB a second, where an operation moves so many bytes.
    Rate { bytes: u32 },
}

/// One operation, one result.
pub const EACH: Unit = Unit::Nanoseconds { parts: 1 };

/// Times `count` calls of an operation.
pub fn time(count: u64, mut operation: impl FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    for _ in 0..count {
        operation()?;
    }
    Ok(start.elapsed())
}

impl Bench {
    /// Measures in a child, so that a crash or a hang costs one line; prints the line.
    pub fn measure_in_child(&self) {
        // SAFETY: this program has one thread here.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
                match self.measure() {
                    Ok(value) => println!("{}\t{value:.1}\t{}", self.name, self.unit.name()),
                    Err(error) => println!("{}\t-\t{error}", self.name),
                }
                std::process::exit(0);
            }
            Ok(ForkResult::Parent { child }) => {
                let end = wait(child);
                // What a benchmark has left behind, and itself.
                let _ = killpg(child, Signal::SIGKILL);
                let _ = kill(child, Signal::SIGKILL);
                if !matches!(end, Ok(WaitStatus::Exited(_, 0))) {
                    println!("{}\t-\tended as {end:?}", self.name);
                }
                let _ = waitpid(child, None);
            }
            Err(error) => println!("{}\t-\tfork: {error}", self.name),
        }
    }

    /// Raises the number of operations until they take long enough, and gives the result of the last run.
    fn measure(&self) -> io::Result<f64> {
        let mut count = 1;
        loop {
            let took = (self.run)(count)?;
            if took >= TARGET / 2 {
                return Ok(self.unit.value(took.as_nanos() as f64 / count as f64));
            }
            // A first estimate from a short run is off: it only gets closer.
            let factor = TARGET.as_nanos() as f64 / took.as_nanos().max(1) as f64;
            count = if factor > 20.0 { count * 8 } else { (count as f64 * factor) as u64 + 1 };
        }
    }
}

impl Unit {
    fn value(self, nanoseconds: f64) -> f64 {
        match self {
            Self::Nanoseconds { parts } => nanoseconds / f64::from(parts),
            Self::Rate { bytes } => f64::from(bytes) * 1e9 / MIB / nanoseconds,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds { .. } => "ns",
            Self::Rate { .. } => "MB/s",
        }
    }
}

fn wait(child: Pid) -> nix::Result<WaitStatus> {
    let start = Instant::now();
    loop {
        let status = waitpid(child, Some(WaitPidFlag::WNOHANG))?;
        if status != WaitStatus::StillAlive || start.elapsed() > LIMIT {
            return Ok(status);
        }
        // Long, because under `-icount` with one CPU this is work that the benchmark waits for.
        std::thread::sleep(Duration::from_millis(20));
    }
}
