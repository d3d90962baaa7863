//! [`Session`]: the streams of one process between the process, its log and the clients that are attached.
//!
//! Nothing here blocks. A client that does not read stops the process's output once a megabyte waits for it, as docker does; the log and
//! the other clients wait with it, and nothing is lost.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;
use rustix::termios::Winsize;

use super::detach::Detector;
use super::log::{Log, Stream};
use super::protocol::{Attach, Size};

/// How much output may wait for a client, in bytes.
const CLIENT_LIMIT: usize = 1 << 20;
/// How much input may wait for the process, in bytes.
const INPUT_LIMIT: usize = 64 << 10;
const BUFFER: usize = 32 << 10;

/// Where output comes from.
#[derive(Debug)]
struct Output {
    file: File,
    stream: Stream,
    /// A terminal that nobody has open at the moment; it may be opened again as long as the container runs.
    is_hung: bool,
}

#[derive(Debug)]
struct Client {
    socket: UnixStream,
    wants: Attach,
    pending: VecDeque<u8>,
    detector: Detector,
    /// Whether it may still send.
    is_open: bool,
    is_gone: bool,
}

/// The streams of a process.
#[derive(Debug)]
pub struct Session {
    is_terminal: bool,
    stdin_once: bool,
    outputs: Vec<Output>,
    /// Where input goes: a pipe, or another descriptor of the terminal.
    stdin: Option<File>,
    input: VecDeque<u8>,
    /// Close `stdin` when `input` is empty.
    is_input_ending: bool,
    clients: Vec<Client>,
    log: Option<Log>,
}

/// Something of a session that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Output(usize),
    Stdin,
    Client(usize),
}

impl Session {
    /// Streams over pipes.
    #[must_use]
    pub fn of_pipes(
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
        stdin_once: bool,
        log: Option<Log>,
    ) -> Self {
        let output = |file: OwnedFd, stream| Output { file: file.into(), stream, is_hung: false };
        Self {
            is_terminal: false,
            stdin_once,
            outputs: vec![output(stdout, Stream::Stdout), output(stderr, Stream::Stderr)],
            stdin: stdin.map(File::from),
            input: VecDeque::new(),
            is_input_ending: false,
            clients: Vec::new(),
            log,
        }
    }

    /// Streams of a terminal, of which these are two descriptors of the master.
    #[must_use]
    pub fn of_terminal(output: OwnedFd, input: Option<OwnedFd>, stdin_once: bool, log: Option<Log>) -> Self {
        Self {
            is_terminal: true,
            stdin_once,
            outputs: vec![Output { file: output.into(), stream: Stream::Stdout, is_hung: false }],
            stdin: input.map(File::from),
            input: VecDeque::new(),
            is_input_ending: false,
            clients: Vec::new(),
            log,
        }
    }

    /// Sets the size of the terminal. Without one nothing happens.
    pub fn resize(&self, size: Size) {
        if let Some(output) = self.outputs.first().filter(|_| self.is_terminal) {
            let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
            // A terminal whose process has just ended has no size to set.
            let _ = rustix::termios::tcsetwinsize(&output.file, size);
        }
    }

    /// Takes a client. What comes out of the process from now on goes to it.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` returns.
    pub fn attach(&mut self, socket: UnixStream, wants: Attach) -> std::io::Result<()> {
        socket.set_nonblocking(true)?;
        let detector = Detector::new(wants.detach_keys.clone());
        self.clients.push(Client {
            socket,
            wants,
            pending: VecDeque::new(),
            detector,
            is_open: true,
            is_gone: false,
        });
        Ok(())
    }

    /// Whether all output was read.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Whether everything reached the clients that are still there.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.clients.iter().all(|client| client.pending.is_empty())
    }

    /// Whether a terminal waits to be opened again.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        self.outputs.iter().any(|output| output.is_hung)
    }

    /// Looks again at terminals that nobody had open.
    pub fn look_again(&mut self) {
        self.outputs.iter_mut().for_each(|output| output.is_hung = false);
    }

    /// What to wait for.
    pub fn sources(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let is_stalled = self.clients.iter().any(|client| client.pending.len() >= CLIENT_LIMIT);
        let outputs =
            self.outputs.iter().enumerate().filter(move |(_, output)| !is_stalled && !output.is_hung);
        let outputs =
            outputs.map(|(index, output)| (Source::Output(index), output.file.as_fd(), PollFlags::IN));
        let stdin = self.stdin.iter().filter(|_| !self.input.is_empty());
        let stdin = stdin.map(|stdin| (Source::Stdin, stdin.as_fd(), PollFlags::OUT));
        let may_send = self.input.len() < INPUT_LIMIT;
        let clients = self.clients.iter().enumerate().map(move |(index, client)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, client.is_open && may_send);
            flags.set(PollFlags::OUT, !client.pending.is_empty());
            (Source::Client(index), client.socket.as_fd(), flags)
        });
        outputs.chain(stdin).chain(clients)
    }

    /// Serves what is ready. To be followed by [`Session::sweep`] when all of a round are served, since numbers stay valid until then.
    pub fn serve(&mut self, source: Source, ready: PollFlags) {
        match source {
            Source::Output(index) => self.read_output(index),
            Source::Stdin => self.write_input(),
            Source::Client(index) => {
                if ready.contains(PollFlags::OUT) {
                    self.flush(index);
                }
                let is_open = self.clients.get(index).is_some_and(|client| client.is_open);
                if is_open && ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    self.read_client(index);
                } else if ready.contains(PollFlags::ERR)
                    || (ready.contains(PollFlags::HUP) && !ready.contains(PollFlags::OUT))
                {
                    // Both directions are closed.
                    self.leave(index);
                }
            }
        }
    }

    /// Forgets outputs that ended and clients that left.
    pub fn sweep(&mut self) {
        self.clients.retain(|client| !client.is_gone);
    }

    /// Reads what is there of all outputs, without waiting for their end, and ends them. For a process that has ended while others
    /// that it left behind still hold its streams.
    pub fn give_up_outputs(&mut self) {
        while let Some(last) = self.outputs.len().checked_sub(1) {
            let stream = self.outputs[last].stream;
            self.read_output(last);
            if self.outputs.len() > last {
                self.outputs.truncate(last);
                self.end_of(stream);
            }
        }
    }

    /// Tells the clients that nothing more comes. They are kept until they have read everything.
    pub fn finish(&mut self) {
        for client in &mut self.clients {
            if client.pending.is_empty() {
                client.is_gone = true;
            }
        }
        self.stdin = None;
        self.sweep();
    }

    fn read_output(&mut self, index: usize) {
        let Some(output) = self.outputs.get_mut(index) else { return };
        let stream = output.stream;
        let mut buffer = [0; BUFFER];
        match output.file.read(&mut buffer) {
            Ok(0) => {
                self.outputs.remove(index);
                self.end_of(stream);
            }
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                if let Some(log) = &mut self.log {
                    // A full file system must not stop the container; the clients still get everything.
                    let _ = log.take(stream, bytes);
                }
                self.tell(stream, bytes);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // EIO: nobody has the terminal open.
            Err(_) if self.is_terminal => output.is_hung = true,
            Err(_) => {
                self.outputs.remove(index);
                self.end_of(stream);
            }
        }
    }

    fn end_of(&mut self, stream: Stream) {
        if let Some(log) = &mut self.log {
            let _ = log.finish(stream);
        }
    }

    fn tell(&mut self, stream: Stream, bytes: &[u8]) {
        let is_terminal = self.is_terminal;
        let wanting = self.clients.iter_mut().filter(|client| match stream {
            Stream::Stdout => client.wants.stdout,
            Stream::Stderr => client.wants.stderr,
        });
        for client in wanting {
            if !is_terminal {
                client.pending.extend(frame_header(stream.number(), bytes.len()));
            }
            client.pending.extend(bytes);
        }
        for index in 0..self.clients.len() {
            self.flush(index);
        }
    }

    fn flush(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        while !client.pending.is_empty() && !client.is_gone {
            let (front, _) = client.pending.as_slices();
            match client.socket.write(front) {
                Ok(count) => drop(client.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    client.pending.clear();
                    client.is_gone = true;
                }
            }
        }
        // Give memory back that one burst took.
        if client.pending.is_empty() && client.pending.capacity() > BUFFER {
            client.pending = VecDeque::new();
        }
    }

    fn read_client(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let mut buffer = [0; BUFFER];
        match client.socket.read(&mut buffer) {
            Ok(0) => {
                client.is_open = false;
                let is_input = client.wants.stdin;
                if is_input && self.stdin_once {
                    self.is_input_ending = true;
                }
                self.write_input();
            }
            Ok(count) => {
                if !client.wants.stdin {
                    return;
                }
                let (input, has_left) = client.detector.filter(buffer.get(..count).unwrap_or_default());
                if has_left {
                    client.is_gone = true;
                }
                if self.stdin.is_some() {
                    self.input.extend(input);
                }
                self.write_input();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.leave(index),
        }
    }

    /// A client is gone altogether; that is the end of its input, too.
    fn leave(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.pending.clear();
        client.is_gone = true;
        if client.wants.stdin && client.is_open && self.stdin_once {
            self.is_input_ending = true;
            self.write_input();
        }
    }

    fn write_input(&mut self) {
        while let (Some(stdin), false) = (&mut self.stdin, self.input.is_empty()) {
            let (front, _) = self.input.as_slices();
            match stdin.write(front) {
                Ok(count) => drop(self.input.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nobody reads it any more.
                Err(_) => {
                    self.input.clear();
                    self.stdin = None;
                }
            }
        }
        // The end of input of a terminal is a character that its user types; closing the master would hang it up.
        if self.is_input_ending && !self.is_terminal {
            self.stdin = None;
        }
    }
}

/// The header of one frame: which stream, and how many bytes follow.
#[must_use]
pub fn frame_header(stream: u8, length: usize) -> [u8; 8] {
    // Frames are cut far below 4 GiB by whoever makes them.
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [stream, 0, 0, 0, length[0], length[1], length[2], length[3]]
}
