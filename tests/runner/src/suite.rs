//! A list of jobs, each of which starts a machine and reports tests; the lines and the sum.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Starts of the names of tests that only `--all`, or a filter, runs. Every run must fit into half an hour on two cores without KVM;
/// what these show is shown by others that remain, with another number of CPUs or another size of memory.
/// Of servers behind published ports, nginx, redis and a Go program are in every run.
pub const LEFT_OUT: [&str; 6] = [
    "ostd/1cpu/",
    "container/one_cpu_4_gib",
    "container/two_cpus_512_mib",
    "docker-software/node",
    "docker-software/postgres",
    "tdx/storm/",
];

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// Why it failed.
    Failed(String),
    /// Why it was not run, or why its failure is known.
    Skipped(String),
}

impl From<anyhow::Result<()>> for Verdict {
    fn from(result: anyhow::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

/// One machine's worth of tests.
pub struct Job {
    /// Names of the tests that it reports.
    names: Vec<String>,
    body: Body,
}

type Body = Box<dyn FnOnce(&mut dyn FnMut(&str, Verdict)) + Send>;

/// How many tests went which way.
#[derive(Debug, Default, Clone, Copy)]
pub struct Total {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// All jobs of a run.
pub struct Suite {
    filter: Option<String>,
    is_whole: bool,
    machines: usize,
    jobs: VecDeque<Job>,
}

impl Suite {
    /// An empty list, of which later only the tests are run whose name contains `filter`; without one, all but [`LEFT_OUT`], and
    /// those too if the run `is_whole`.
    pub fn new(filter: Option<String>, is_whole: bool, machines: usize) -> Self {
        Self { filter, is_whole, machines: machines.max(1), jobs: VecDeque::new() }
    }

    /// Whether a test is to be run.
    pub fn is_selected(&self, name: &str) -> bool {
        match &self.filter {
            Some(filter) => name.contains(filter),
            None => self.is_whole || !LEFT_OUT.iter().any(|start| name.starts_with(start)),
        }
    }

    /// Adds a job that is one test.
    pub fn add(&mut self, name: &str, body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        if self.is_selected(name) {
            let own = name.to_owned();
            self.add_group(vec![name.to_owned()], move |report| report(&own, body().into()));
        }
    }

    /// Adds a job that reports several tests. Those that it does not report have failed.
    pub fn add_group(
        &mut self,
        names: Vec<String>,
        body: impl FnOnce(&mut dyn FnMut(&str, Verdict)) + Send + 'static,
    ) {
        self.jobs.push_back(Job { names, body: Box::new(body) });
    }

    /// Runs everything and prints a line for each test as soon as it has ended.
    pub fn run(self) -> Total {
        let (jobs, total) = (Mutex::new(self.jobs), Mutex::new(Total::default()));
        thread::scope(|scope| {
            for _ in 0..self.machines {
                scope.spawn(|| {
                    while let Some(job) = locked(&jobs).pop_front() {
                        job.run(&total);
                    }
                });
            }
        });
        *locked(&total)
    }
}

impl Job {
    fn run(self, total: &Mutex<Total>) {
        let mut missing = self.names;
        let mut start = Instant::now();
        let mut report = |name: &str, verdict: Verdict| {
            missing.retain(|known| known != name);
            print(&mut locked(total), name, &verdict, start.elapsed());
            start = Instant::now();
        };
        (self.body)(&mut report);
        for name in missing {
            let verdict = Verdict::Failed("not reported".to_owned());
            print(&mut locked(total), &name, &verdict, Duration::ZERO);
        }
    }
}

fn print(total: &mut Total, name: &str, verdict: &Verdict, took: Duration) {
    let seconds = took.as_secs_f64();
    match verdict {
        Verdict::Passed => {
            total.passed += 1;
            println!("ok {name} ({seconds:.1} s)");
        }
        Verdict::Failed(reason) => {
            total.failed += 1;
            println!("FAIL {name}: {reason}");
        }
        Verdict::Skipped(reason) => {
            total.skipped += 1;
            println!("skip {name}: {reason}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Suite;

    #[test]
    fn a_filter_or_all_selects_what_is_left_out() {
        let is_selected = |filter: Option<&str>, is_whole, name| {
            Suite::new(filter.map(str::to_owned), is_whole, 2).is_selected(name)
        };
        assert!(is_selected(None, false, "ostd/2cpu/a"));
        assert!(!is_selected(None, false, "ostd/1cpu/a"));
        assert!(is_selected(None, true, "ostd/1cpu/a"));
        assert!(is_selected(Some("1cpu"), false, "ostd/1cpu/a"));
        assert!(!is_selected(Some("1cpu"), true, "ostd/2cpu/a"));
    }
}
