//! The shim's loop: streams, requests, children that end.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::Process;
use runtime_oci::{Container, Exec, ExecStdio};
use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::protocol::{Attach, Bundle, EXIT, Exit, Reply, Request, Size};
use super::session::{Session, Source};
use super::{error_reply, join_cgroup, pipes, set_nonblocking, write_json};
use crate::Error;

/// The longest request, in bytes. A process's configuration with its environment is the longest part of one.
const REQUEST_LIMIT: usize = 4 << 20;
/// How long output is awaited from what a process left behind when it ended, and how long clients may take to read the last of it.
const PATIENCE: Duration = Duration::from_secs(2);
const LINGER: Duration = Duration::from_secs(10);
const SIGCHLD: i32 = 17;

/// One process and its streams.
#[derive(Debug)]
struct Job {
    process: Container,
    session: Session,
    /// When it ended, and how.
    ended: Option<(Instant, Exit)>,
    /// Whether the end was told: all output was read.
    is_over: bool,
}

/// A connection of the engine.
#[derive(Debug)]
struct Connection {
    socket: UnixStream,
    request: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    /// What it waits for: the first process, or one that joined.
    waits: Option<Option<String>>,
    is_gone: bool,
}

#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    bundle: Bundle,
    listener: UnixListener,
    signals: SignalPipe,
    connections: Vec<Connection>,
    main: Job,
    execs: HashMap<String, Job>,
    /// What joined and ended: only the exit is kept.
    ended_execs: HashMap<String, Exit>,
}

/// What a descriptor in the poll set belongs to.
enum Token {
    Signals,
    Listener,
    Connection(usize),
    Main(Source),
    Exec(String, Source),
}

impl Server {
    pub fn new(
        folder: &Path,
        bundle: Bundle,
        process: Container,
        session: Session,
        listener: UnixListener,
    ) -> Result<Self, Error> {
        Ok(Self {
            folder: folder.to_owned(),
            bundle,
            listener,
            signals: SignalPipe::open(&[SIGCHLD]).map_err(Error::system("catch signals"))?,
            connections: Vec::new(),
            main: Job { process, session, ended: None, is_over: false },
            execs: HashMap::new(),
            ended_execs: HashMap::new(),
        })
    }

    /// Serves until the container has ended and everything was told.
    pub fn run(mut self) -> u8 {
        // A child may have ended before the handler was in place.
        self.reap();
        loop {
            self.settle();
            if self.is_done() {
                return 0;
            }
            self.round();
        }
    }

    fn is_done(&self) -> bool {
        let is_late = |(at, _): &(Instant, Exit)| at.elapsed() > LINGER;
        // What joined ended with the first process; who waits for its exit code gets it.
        let is_told = self.main.session.is_flushed()
            && self.execs.values().all(|job| job.is_over && job.session.is_flushed());
        self.main.is_over && (is_told || self.main.ended.as_ref().is_some_and(is_late))
    }

    /// Waits for anything and serves it.
    fn round(&mut self) {
        let ready = {
            let mut waits = vec![
                (Token::Signals, self.signals.as_fd(), PollFlags::IN),
                (Token::Listener, self.listener.as_fd(), PollFlags::IN),
            ];
            let connections = self.connections.iter().enumerate();
            waits.extend(
                connections.map(|(index, it)| (Token::Connection(index), it.socket.as_fd(), PollFlags::IN)),
            );
            let main = self.main.session.sources();
            waits.extend(main.map(|(source, file, flags)| (Token::Main(source), file, flags)));
            for (id, job) in &self.execs {
                let sources = job.session.sources();
                waits.extend(
                    sources.map(|(source, file, flags)| (Token::Exec(id.clone(), source), file, flags)),
                );
            }
            let mut set: Vec<PollFd<'_>> =
                waits.iter().map(|(_, file, flags)| PollFd::from_borrowed_fd(*file, *flags)).collect();
            let timeout = self.timeout();
            match poll(&mut set, timeout.as_ref()) {
                Ok(0) => return self.look_again(),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => return,
                // Out of memory, say: wait a little rather than spin.
                Err(_) => return std::thread::sleep(Duration::from_millis(100)),
            }
            let flags: Vec<PollFlags> = set.iter().map(PollFd::revents).collect();
            let tokens = waits.into_iter().map(|(token, ..)| token);
            tokens.zip(flags).filter(|(_, flags)| !flags.is_empty()).collect::<Vec<_>>()
        };
        for (token, flags) in ready {
            match token {
                Token::Signals => {
                    let _ = self.signals.take();
                    self.reap();
                }
                Token::Listener => self.accept(),
                Token::Connection(index) => self.read_request(index),
                Token::Main(source) => self.main.session.serve(source, flags),
                Token::Exec(id, source) => {
                    if let Some(job) = self.execs.get_mut(&id) {
                        job.session.serve(source, flags);
                    }
                }
            }
        }
        self.main.session.sweep();
        self.execs.values_mut().for_each(|job| job.session.sweep());
        self.connections.retain(|connection| !connection.is_gone);
    }

    /// How long to wait at most: for ever, unless something is about to end.
    fn timeout(&self) -> Option<Timespec> {
        let jobs = || std::iter::once(&self.main).chain(self.execs.values());
        let is_restless = jobs().any(|job| job.ended.is_some() || job.session.is_hung());
        is_restless.then_some(Timespec { tv_sec: 0, tv_nsec: 50_000_000 })
    }

    /// Does what follows from processes that have ended.
    fn settle(&mut self) {
        for job in std::iter::once(&mut self.main).chain(self.execs.values_mut()) {
            // A terminal that nobody has open when its process has ended will not be opened again.
            let is_late = |(at, _): (Instant, Exit)| job.session.is_hung() || at.elapsed() > PATIENCE;
            if job.ended.is_some_and(is_late) {
                job.session.give_up_outputs();
            }
        }
        if let (Some((_, exit)), false) = (self.main.ended, self.main.is_over)
            && self.main.session.is_drained()
        {
            self.main.is_over = true;
            // Before anybody can see an end of anything. Should this fail, the engine still learns it from the answer.
            let _ = write_json(&self.folder.join(EXIT), &exit);
            self.main.session.finish();
            self.answer(None, exit);
        }
        let over: Vec<(String, Exit)> = self
            .execs
            .iter()
            .filter(|(_, job)| !job.is_over && job.session.is_drained())
            .filter_map(|(id, job)| job.ended.map(|(_, exit)| (id.clone(), exit)))
            .collect();
        for (id, exit) in over {
            if let Some(job) = self.execs.get_mut(&id) {
                job.is_over = true;
                job.session.finish();
            }
            self.ended_execs.insert(id.clone(), exit);
            self.answer(Some(&id), exit);
        }
        let is_late = |job: &Job| job.ended.as_ref().is_some_and(|(at, _)| at.elapsed() > LINGER);
        self.execs.retain(|_, job| !job.is_over || !(job.session.is_flushed() || is_late(job)));
    }

    /// Terminals that nobody had open may have been opened again.
    fn look_again(&mut self) {
        self.main.session.look_again();
        self.execs.values_mut().for_each(|job| job.session.look_again());
    }

    fn answer(&mut self, exec: Option<&str>, exit: Exit) {
        for connection in &mut self.connections {
            if connection.waits.as_ref().is_some_and(|waits| waits.as_deref() == exec) {
                connection.waits = None;
                connection.reply(&Reply::Exit(exit));
            }
        }
    }

    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let at = Instant::now();
                    let mut jobs = std::iter::once(&mut self.main).chain(self.execs.values_mut());
                    if let (Some(job), Some(exit)) =
                        (jobs.find(|job| job.process.pid() == pid), exit_of(status))
                    {
                        job.ended = Some((at, exit));
                    }
                    if pid == self.main.process.pid() {
                        self.end_the_others();
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// A container ends with its first process. Where it has pids of its own the kernel sees to that; where it has the machine's, its
    /// control group does.
    fn end_the_others(&self) {
        if let Some(cgroup) = &self.bundle.cgroup {
            let _ = std::fs::write(cgroup.join("cgroup.kill"), "1");
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            if socket.set_nonblocking(true).is_ok() {
                let connection = Connection {
                    socket,
                    request: Vec::new(),
                    descriptors: Vec::new(),
                    waits: None,
                    is_gone: false,
                };
                self.connections.push(connection);
            }
        }
    }

    fn read_request(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let line = match connection.receive() {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(_) => {
                connection.is_gone = true;
                return;
            }
        };
        let descriptor = connection.descriptors.pop();
        connection.descriptors.clear();
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(Request::Wait { exec }) => {
                let exit = match &exec {
                    None => self.main.is_over.then_some(self.main.ended).flatten().map(|(_, exit)| exit),
                    Some(id) => self.ended_execs.get(id).copied(),
                };
                let is_known = exec.as_ref().is_none_or(|id| exit.is_some() || self.execs.contains_key(id));
                match exit {
                    Some(exit) => Ok(Reply::Exit(exit)),
                    None if is_known => {
                        connection.waits = Some(exec);
                        return;
                    }
                    None => Err(Error::NoSuchExec(exec.unwrap_or_default())),
                }
            }
            Ok(request) => self.serve(request, descriptor),
            Err(error) => Err(Error::Invalid(format!("the shim does not understand: {error}"))),
        };
        if let Some(connection) = self.connections.get_mut(index) {
            connection.reply(&reply.unwrap_or_else(|error| error_reply(&error)));
        }
    }

    fn serve(&mut self, request: Request, descriptor: Option<OwnedFd>) -> Result<Reply, Error> {
        match request {
            Request::Start {} => {
                let result = self.main.process.start();
                if result.is_err() {
                    // It was reaped there; nothing more will come of it, and the engine tells why.
                    let exit = Exit { code: 0, at_ns: crate::time::now().nanoseconds() };
                    self.main.ended = Some((Instant::now(), exit));
                }
                result?;
                Ok(Reply::Started { pid: self.main.process.pid().as_raw_nonzero().get() })
            }
            Request::Attach(wants) => {
                let socket =
                    descriptor.ok_or_else(|| Error::Invalid("no descriptor came along".to_owned()))?;
                self.main.session.attach(socket.into(), wants).map_err(Error::system("attach"))?;
                Ok(Reply::Done {})
            }
            Request::Exec { id, process, terminal, attach } => {
                self.exec(id, &process, terminal, attach.zip(descriptor))
            }
            Request::Signal { exec, signal } => {
                self.job(exec.as_deref())?.process.kill(signal)?;
                Ok(Reply::Done {})
            }
            Request::Resize { exec, size } => {
                self.job(exec.as_deref())?.session.resize(size);
                Ok(Reply::Done {})
            }
            Request::Forget { exec } => {
                self.ended_execs.remove(&exec);
                Ok(Reply::Done {})
            }
            Request::Wait { .. } => Err(Error::Invalid("to be served by the connection".to_owned())),
        }
    }

    fn job(&self, exec: Option<&str>) -> Result<&Job, Error> {
        let job = match exec {
            None => Some(&self.main),
            Some(id) => self.execs.get(id),
        };
        job.filter(|job| job.ended.is_none())
            .ok_or_else(|| Error::Conflict(format!("{} has ended", exec.unwrap_or("the container"))))
    }

    fn exec(
        &mut self,
        id: String,
        process: &Process,
        terminal: Option<Size>,
        attach: Option<(Attach, OwnedFd)>,
    ) -> Result<Reply, Error> {
        let first = self.job(None)?.process.pid();
        let has_stdin = attach.as_ref().is_some_and(|(wants, _)| wants.stdin);
        let (stdio, mut session) = match terminal {
            Some(_) => {
                let (master, slave) = runtime_oci::open_terminal(first)?;
                let input = has_stdin
                    .then(|| master.try_clone())
                    .transpose()
                    .map_err(Error::system("set up a stream"))?;
                set_nonblocking(&master)?;
                (ExecStdio::Terminal(slave), Session::of_terminal(master, input, true, None))
            }
            None => {
                let ([stdin, stdout, stderr], session) = pipes(has_stdin, true, None)?;
                (ExecStdio::Streams { stdin, stdout, stderr }, session)
            }
        };
        if let Some(size) = terminal.filter(|size| size.rows > 0 && size.columns > 0) {
            session.resize(size);
        }
        if let Some((wants, socket)) = attach {
            session.attach(socket.into(), wants).map_err(Error::system("attach"))?;
        }
        let mut process = Exec { spec: &self.bundle.spec, first, process, stdio }.create()?;
        if let Some(cgroup) = &self.bundle.cgroup {
            join_cgroup(cgroup, process.pid())?;
        }
        process.start()?;
        let pid = process.pid();
        self.execs.insert(id, Job { process, session, ended: None, is_over: false });
        // It may have ended, and been signalled, before it was in the table.
        self.reap_one(pid);
        Ok(Reply::Started { pid: pid.as_raw_nonzero().get() })
    }

    fn reap_one(&mut self, pid: Pid) {
        if let Ok(Some((_, status))) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            let job = self.execs.values_mut().find(|job| job.process.pid() == pid);
            if let (Some(job), Some(exit)) = (job, exit_of(status)) {
                job.ended = Some((Instant::now(), exit));
            }
        }
    }
}

impl Connection {
    /// Receives what is there; gives a line when there is a whole one.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 16 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [io::IoSliceMut::new(&mut buffer)];
        let received =
            match rustix::net::recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => received.bytes,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if received == 0 || self.request.len() + received > REQUEST_LIMIT {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.request.extend(buffer.iter().take(received));
        Ok(self.request.ends_with(b"\n").then(|| std::mem::take(&mut self.request)))
    }

    fn reply(&mut self, reply: &Reply) {
        let Ok(mut bytes) = serde_json::to_vec(reply) else { return };
        bytes.push(b'\n');
        // Far less than what a socket holds; whoever does not take it is gone.
        if io::Write::write_all(&mut self.socket, &bytes).is_err() {
            self.is_gone = true;
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => return None,
    };
    Some(Exit { code, at_ns: crate::time::now().nanoseconds() })
}
