//! [`Service`]: a program of the image that is started again when it ends.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime_measure::{Server, pair};
use rustix::process::{Pid, Signal, kill_process};

use crate::reap;

/// The pause before the first restart; each further one is twice as long, up to a limit.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After so long a life the next end counts as the first.
const SOUND: Duration = Duration::from_secs(60);

/// One program: this binary with a word for its first argument, and what that needs.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    arguments: Vec<String>,
    state: State,
    pause: Duration,
    /// What it asks by its standard input to have measured.
    channel: Option<Server>,
}

#[derive(Debug)]
enum State {
    Running {
        child: Child,
        since: Instant,
    },
    /// To be started at that time.
    Waiting(Instant),
}

impl Service {
    /// To be started by the next [`Self::tend`].
    pub fn new(name: &'static str, arguments: Vec<String>) -> Self {
        Self { name, arguments, state: State::Waiting(Instant::now()), pause: FIRST_PAUSE, channel: None }
    }

    /// Where it asks for measurements, while it runs.
    pub fn channel(&self) -> Option<&Server> {
        self.channel.as_ref()
    }

    /// When it is to be started, if it does not run.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Running { .. } => None,
            State::Waiting(until) => Some(until),
        }
    }

    /// Reaps every child that has ended, and starts the program if it is time to.
    pub fn tend(&mut self, now: Instant) {
        let status = reap::reap(self.pid());
        match &self.state {
            State::Running { since, .. } => {
                let Some(code) = status else { return };
                if now.saturating_duration_since(*since) >= SOUND {
                    self.pause = FIRST_PAUSE;
                }
                self.wait(now, &format!("ended with status {code}"));
            }
            State::Waiting(until) if now >= *until => self.start(now),
            State::Waiting(_) => {}
        }
    }

    /// Asks it to end; somebody else waits for it.
    pub fn stop(&mut self) {
        if let Some(pid) = self.pid() {
            // It may have ended in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    fn pid(&self) -> Option<Pid> {
        match &self.state {
            State::Running { child, .. } => Some(Pid::from_child(child)),
            State::Waiting(_) => None,
        }
    }

    fn start(&mut self, now: Instant) {
        // The link leads to the program whatever the root of the file system is.
        let mut command = Command::new("/proc/self/exe");
        command.arg(self.name).args(&self.arguments);
        match pair().and_then(|(server, end)| Ok((command.stdin(Stdio::from(end)).spawn()?, server))) {
            Ok((child, server)) => {
                self.channel = Some(server);
                self.state = State::Running { child, since: now };
            }
            Err(error) => self.wait(now, &format!("cannot be started: {error}")),
        }
    }

    fn wait(&mut self, now: Instant, why: &str) {
        eprintln!("coffer: the {} {why}; starting it again in {} ms", self.name, self.pause.as_millis());
        self.channel = None;
        self.state = State::Waiting(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's binary stands in for the image's: it does not know the word and ends with an error.
    #[test]
    fn what_ends_is_started_again_after_ever_longer_pauses() {
        let mut service = Service::new("--no-such-option", Vec::new());
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            service.tend(now);
            assert!(service.deadline().is_none());
            let start = Instant::now();
            while service.deadline().is_none() && start.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
                service.tend(now);
            }
            let next = service.deadline().unwrap();
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [100, 200, 400]);
    }
}
