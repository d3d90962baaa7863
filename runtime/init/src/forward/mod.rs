//! Forwarding between the host's ports and a running container: streams, signals, window sizes, the exit.
//!
//! [`Forwarder::run`] is the loop in which PID 1 spends a container's life; `pump.rs` moves the bytes.

mod pump;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use runtime_control::Command;
use runtime_oci::spec::Window;
use runtime_oci::terminal::Terminal;
use runtime_oci::{Container, Stdio};
use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

use crate::control::Control;
use crate::error::Error;
use crate::ports;
use crate::reap::reap;
use pump::Pump;

/// How long output may still take to arrive at the host, without any progress, once the container has ended.
const DRAIN: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// The host's ends of the standard streams, open for all of PID 1's life: a port cannot be opened twice.
#[derive(Debug)]
pub struct HostStreams {
    stdin: Option<File>,
    stdout: File,
    stderr: File,
    /// Bytes that all containers so far have written.
    pub sent_stdout: Cell<u64>,
    pub sent_stderr: Cell<u64>,
}

impl HostStreams {
    /// Opens the ports. Without a port for input there is none, without one for output it goes to the console.
    pub fn open() -> Result<Self, Error> {
        let open = |name| ports::open(name).map_err(Error::system(format!("open the port `{name}`")));
        let or_console = |port: Option<File>| match port {
            Some(port) => Ok(port),
            None => duplicate(&std::io::stdout()),
        };
        Ok(Self {
            stdin: open("coffer.stdin")?,
            stdout: or_console(open("coffer.stdout")?)?,
            stderr: or_console(open("coffer.stderr")?)?,
            sent_stdout: Cell::new(0),
            sent_stderr: Cell::new(0),
        })
    }
}

/// The streams of one container.
#[derive(Debug)]
pub struct Forwarder {
    input: Option<Pump>,
    outputs: Vec<Pump>,
}

impl Forwarder {
    /// Connects the host's streams with new pipes or with the terminal; the container's ends are the second value.
    pub fn connect<'a>(
        host: &HostStreams,
        terminal: Option<&'a Terminal>,
    ) -> Result<(Self, Stdio<'a>), Error> {
        if let Some(terminal) = terminal {
            set_nonblocking(terminal.master())?;
            let input = match &host.stdin {
                Some(port) => {
                    Some(Pump::new(duplicate(port)?, terminal.clone_master()?).ending_with(END_OF_INPUT))
                }
                None => None,
            };
            let outputs = vec![Pump::new(terminal.clone_master()?, duplicate(&host.stdout)?)];
            return Ok((Self { input, outputs }, Stdio::Terminal(terminal)));
        }

        let (input, stdin) = match &host.stdin {
            Some(port) => {
                let (read_end, write_end) = pipe()?;
                set_nonblocking(&write_end)?;
                (Some(Pump::new(duplicate(port)?, write_end.into())), read_end)
            }
            None => (None, File::open("/dev/null").map_err(Error::system("open `/dev/null`"))?.into()),
        };
        let mut outputs = Vec::new();
        let mut output = |port: &File| {
            let (read_end, write_end) = pipe()?;
            set_nonblocking(&read_end)?;
            outputs.push(Pump::new(read_end.into(), duplicate(port)?));
            Ok::<_, Error>(write_end)
        };
        let (stdout, stderr) = (output(&host.stdout)?, output(&host.stderr)?);
        Ok((Self { input, outputs }, Stdio::Streams { stdin, stdout, stderr }))
    }

    /// Forwards until the container has ended and its output has been handed over; returns its exit code.
    ///
    /// # Errors
    ///
    /// A command that makes no sense, or a failed call. The container is ended first.
    pub fn run(
        &mut self,
        container: &Container,
        terminal: Option<&Terminal>,
        control: &mut Control,
        signals: &SignalPipe,
    ) -> Result<u8, Error> {
        let result = self.forward(container, terminal, control, signals);
        if result.is_err() {
            // Either may fail because it has ended and is reaped, which is what is wanted.
            let _ = kill_process(container.pid(), Signal::KILL);
            let _ = waitpid(Some(container.pid()), WaitOptions::empty());
        }
        result
    }

    /// Adds what this container has written to the host's totals.
    pub fn count(&self, host: &HostStreams) {
        for (pump, total) in self.outputs.iter().zip([&host.sent_stdout, &host.sent_stderr]) {
            total.set(total.get() + pump.written());
        }
    }

    fn forward(
        &mut self,
        container: &Container,
        terminal: Option<&Terminal>,
        control: &mut Control,
        signals: &SignalPipe,
    ) -> Result<u8, Error> {
        let mut code = None;
        loop {
            for signal in signals.take() {
                if matches!(signal, crate::phases::signals::SIGINT | crate::phases::signals::SIGTERM) {
                    container.kill(signal)?;
                }
            }
            if code.is_none() {
                code = reap(Some(container.pid()));
            }
            self.step();
            if let Some(code) = code
                && self.outputs.iter().all(Pump::is_done)
            {
                return Ok(code);
            }
            let is_control_ready = match self.wait(control, signals, code.is_some().then_some(&DRAIN))? {
                Some(is_control_ready) => is_control_ready,
                // The host does not take the output: it will not be told more by waiting.
                None => return Ok(code.unwrap_or_default()),
            };
            if is_control_ready {
                obey(container, terminal, control)?;
            }
        }
    }

    /// Moves what can be moved now.
    fn step(&mut self) {
        for pump in self.input.iter_mut().chain(&mut self.outputs) {
            pump.step();
        }
    }

    /// Waits for anything to happen; tells whether the control port is ready. None after `timeout`.
    fn wait(
        &mut self,
        control: &Control,
        signals: &SignalPipe,
        timeout: Option<&Timespec>,
    ) -> Result<Option<bool>, Error> {
        let mut wanted = vec![PollFd::new(signals, PollFlags::IN)];
        wanted.extend(control.to_poll().map(|port| PollFd::new(port, PollFlags::IN)));
        let has_control = wanted.len() > 1;
        for pump in self.input.iter().chain(&self.outputs) {
            wanted.extend(pump.wanted());
        }
        match poll(&mut wanted, timeout) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Some(false)),
            Err(errno) => return Err(Error::system("wait for input")(errno)),
        }
        let is_control_ready = has_control && wanted.get(1).is_some_and(|port| !port.revents().is_empty());
        let hung_up: Vec<bool> = wanted
            .iter()
            .skip(1 + usize::from(has_control))
            .map(|fd| {
                fd.revents().intersects(PollFlags::HUP | PollFlags::ERR)
                    && !fd.revents().contains(PollFlags::OUT)
            })
            .collect();
        let mut hung_up = hung_up.into_iter();
        for pump in self.input.iter_mut().chain(&mut self.outputs) {
            pump.note_hang_up(&mut hung_up);
        }
        Ok(Some(is_control_ready))
    }
}

/// What the end of the host's input is on a terminal: control-D, in the line discipline's default setting.
const END_OF_INPUT: u8 = 4;

/// Carries out the host's commands.
fn obey(container: &Container, terminal: Option<&Terminal>, control: &mut Control) -> Result<(), Error> {
    while let Some(command) = control.next_command()? {
        match (command, terminal) {
            (Command::Signal(signal), _) => container.kill(signal)?,
            (Command::Resize(size), Some(terminal)) => {
                terminal.resize(Window { rows: size.rows, columns: size.cols })?;
            }
            // A size without a terminal is what a host sends that resized its window at the wrong moment.
            (Command::Resize(_), None) => {}
            (Command::Run(_) | Command::Engine(_) | Command::Received(_) | Command::PowerOff(_), _) => {
                return Err(Error::Request(
                    "neither `signal` nor `resize` while the container runs".to_owned(),
                ));
            }
        }
    }
    Ok(())
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("create a pipe"))
}

fn duplicate(file: &impl AsFd) -> Result<File, Error> {
    file.as_fd().try_clone_to_owned().map(File::from).map_err(Error::system("duplicate a port"))
}

fn set_nonblocking(file: impl AsFd) -> Result<(), Error> {
    let file = file.as_fd();
    rustix::fs::fcntl_getfl(file)
        .and_then(|flags| rustix::fs::fcntl_setfl(file, flags | OFlags::NONBLOCK))
        .map_err(Error::system("make a pipe non-blocking"))
}
