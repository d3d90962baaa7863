//! One container on one machine: sends the request, moves the streams, waits for the end.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Error;
use crate::control::{Command, Empty, Event, Run};
use crate::{Ended, Running};

/// How long a machine may take to power off after the container has ended.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(20);

/// Where the container's streams go and come from.
pub struct Streams {
    /// Its input; its end becomes the container's end of file.
    pub stdin: Box<dyn Read + Send>,
    /// Its output.
    pub stdout: Box<dyn Write + Send>,
    /// Its error output.
    pub stderr: Box<dyn Write + Send>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// A container being run.
#[derive(Debug)]
pub struct Session {
    running: Running,
    control: Control,
    events: JoinHandle<Option<Event>>,
    outputs: Vec<JoinHandle<io::Result<u64>>>,
    cancelled: Arc<AtomicBool>,
}

/// How a session ended.
#[derive(Debug)]
pub enum Finished {
    /// The container ended with this status.
    Exit(i32),
    /// The runtime refused or failed: exit code and one line.
    Refused {
        /// 125, 126 or 127.
        code: i32,
        /// What is wrong.
        message: String,
    },
    /// The machine went down without saying how the container ended.
    Died {
        /// How it went down.
        ended: Ended,
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// The time was up.
    TimedOut,
    /// Somebody set [`Session::cancellation`].
    Cancelled,
}

/// Writes commands; may be cloned and used from anywhere.
#[derive(Debug, Clone)]
pub struct Control(Arc<Mutex<UnixStream>>);

impl Control {
    /// Sends one command.
    ///
    /// # Errors
    /// If the machine is gone.
    pub fn send(&self, command: &Command) -> io::Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

impl Session {
    /// Asks `running`, a machine with ports, to run a container; `on_event` is given everything the runtime reports.
    ///
    /// # Errors
    /// If the machine has no ports, or they were taken already.
    pub fn start(
        mut running: Running,
        run: Run,
        streams: Streams,
        mut on_event: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Self, Error> {
        let ports = running.ports.take().ok_or(Error::NoPorts)?;
        let reports = ports.control.try_clone().map_err(Error::system("use the control port"))?;
        let control = Control(Arc::new(Mutex::new(ports.control)));
        control
            .send(&Command::Run(Box::new(run)))
            .map_err(Error::system("ask the machine to run a container"))?;

        let received = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        let counts = received.clone();
        let confirm = control.clone();
        let events = thread::spawn(move || {
            for line in BufReader::new(reports).lines().map_while(Result::ok) {
                // A line of another kind is a newer runtime's, or a guest's own doing: neither may stop the host.
                let Ok(event) = serde_json::from_str(&line) else { continue };
                on_event(&event);
                if matches!(event, Event::Exit { .. } | Event::Error { .. }) {
                    wait_for_output(&event, &counts);
                    // A machine that did not wait for it is gone already.
                    let _gone = confirm.send(&Command::Received(Empty {}));
                    return Some(event);
                }
            }
            None
        });
        let [stdout, stderr] = received;
        let outputs =
            vec![pump(ports.stdout, streams.stdout, stdout), pump(ports.stderr, streams.stderr, stderr)];
        feed(streams.stdin, ports.stdin);
        Ok(Self { running, control, events, outputs, cancelled: Arc::default() })
    }

    /// For requests while the container runs.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Set to true, it makes [`Self::finish`] end the machine at once.
    #[must_use]
    pub fn cancellation(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Waits for the end, at most `patience`; all output has been written when this returns.
    ///
    /// # Errors
    /// If the machine's process cannot be waited for.
    pub fn finish(mut self, patience: Option<Duration>) -> Result<Finished, Error> {
        const TAIL: usize = 40;
        let start = Instant::now();
        while !self.events.is_finished() && !self.running.has_ended() {
            let is_late = patience.is_some_and(|patience| start.elapsed() > patience);
            let is_cancelled = self.cancelled.load(Ordering::Relaxed);
            if is_late || is_cancelled {
                self.running.stop();
                self.drain();
                return Ok(if is_cancelled { Finished::Cancelled } else { Finished::TimedOut });
            }
            thread::sleep(Duration::from_millis(2));
        }
        let ended = self.running.wait(Some(SHUTDOWN_PATIENCE))?;
        let console = self.running.console.tail(TAIL);
        let last = self.drain();
        Ok(match last {
            Some(Event::Exit { code, .. }) => Finished::Exit(code.into()),
            Some(Event::Error { code, message }) => Finished::Refused { code: code.into(), message },
            _ => Finished::Died { ended, console },
        })
    }

    /// Waits for the streams, which end because QEMU has; gives the last event.
    fn drain(self) -> Option<Event> {
        for output in self.outputs {
            // A reader of ours that has gone away (a closed pipe) is not the container's concern.
            let _unwritten = output.join();
        }
        self.events.join().ok().flatten()
    }
}

/// Waits until as much output has been read as the machine has sent: what is still in its queues goes down with it.
fn wait_for_output(event: &Event, received: &[Arc<AtomicU64>; 2]) {
    let &Event::Exit { stdout, stderr, .. } = event else { return };
    let start = Instant::now();
    let is_complete = || {
        received.iter().zip([stdout, stderr]).all(|(received, sent)| received.load(Ordering::Relaxed) >= sent)
    };
    while !is_complete() && start.elapsed() < SHUTDOWN_PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

fn pump(
    mut from: UnixStream,
    mut to: Box<dyn Write + Send>,
    received: Arc<AtomicU64>,
) -> JoinHandle<io::Result<u64>> {
    thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        let mut total = 0;
        let mut result = Ok(());
        // Reading goes on when writing fails: a machine whose output nobody takes would stand still.
        loop {
            let len = from.read(&mut buffer)?;
            if len == 0 {
                return result.map(|()| total);
            }
            received.fetch_add(len as u64, Ordering::Relaxed);
            if result.is_ok() {
                // Each piece is flushed: what a container writes before it waits for input must be seen.
                result = to.write_all(&buffer[..len]).and_then(|()| to.flush());
                total += len as u64;
            }
        }
    })
}

/// Not joined: a read from a terminal ends when the process does.
fn feed(mut from: Box<dyn Read + Send>, mut to: UnixStream) {
    thread::spawn(move || {
        let _gone = io::copy(&mut from, &mut to);
        // A half-close: QEMU then reads what is left before it tells the guest; a full close would let it drop that.
        let _closed = to.shutdown(Shutdown::Write);
        // The socket stays open until the machine has ended, for the same reason.
        let _ended = to.read(&mut [0]);
    });
}
