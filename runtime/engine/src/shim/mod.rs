//! The shim: one small process for each container, parent of the container's processes, keeper of their streams and exit codes.
//!
//! It is started by the engine, detaches itself so that PID 1 adopts it, and serves the [`protocol`] on a socket in the container's folder
//! until the container has ended. One thread, one `poll(2)` loop, nothing allocated while nothing happens: a hundred idle ones are cheap. The
//! engine may die and come back at any time.

pub mod client;
pub mod detach;
pub mod log;
pub mod protocol;
mod server;
pub mod session;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;

use runtime_oci::terminal::Terminal;
use runtime_oci::{Container, Stdio};
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::log::Log;
use self::protocol::{Bundle, Reply, SOCKET};
use self::session::Session;
use crate::Error;

/// Runs the shim of the container in `folder`, with the [`Bundle`] at its standard input. Returns in the process that the engine started once the container is created, or could not
/// be, having printed a [`Reply`]; the shim proper goes on behind it.
#[must_use]
pub fn main(folder: &Path) -> ExitCode {
    let reply = match launch(folder) {
        Ok(reply) => reply,
        Err(error) => error_reply(&error),
    };
    // The engine reads it; when it is gone, the container was created in vain and is found by the next engine.
    let written =
        serde_json::to_vec(&reply).map_err(io::Error::from).and_then(|bytes| io::stdout().write_all(&bytes));
    match (written, reply) {
        (Ok(()), Reply::Started { .. }) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Forks the shim proper and waits for its word.
fn launch(folder: &Path) -> Result<Reply, Error> {
    let bundle: Bundle = read_bundle(io::stdin().lock())?;
    let (answer, word) = {
        let (read_end, write_end) =
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("create a pipe"))?;
        (File::from(read_end), Some(File::from(write_end)))
    };
    let mut word = word;
    let in_child = &mut word;
    runtime_sys::clone::fork_into(runtime_sys::clone::Namespaces::default(), || {
        let Some(word) = in_child.take() else { return 1 };
        serve(folder, bundle, word)
    })
    .map_err(Error::system("start the shim"))?;
    drop(word);

    // A line, not up to the end: the container's first process has a copy of the pipe until it executes its program.
    let mut bytes = Vec::new();
    io::BufReader::new(answer).read_until(b'\n', &mut bytes).map_err(Error::system("hear from the shim"))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| Error::Stored { what: "answer of the shim".to_owned(), source })
}

fn read_bundle(mut from: impl io::Read) -> Result<Bundle, Error> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(Error::system("read what the shim is started with"))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| Error::Stored { what: "what the shim is started with".to_owned(), source })
}

/// The shim proper: creates, says so, serves.
fn serve(folder: &Path, bundle: Bundle, mut word: File) -> u8 {
    let created = detach_from_engine().and_then(|()| create(folder, &bundle));
    let (reply, server) = match created {
        Ok((container, session, listener)) => {
            let pid = container.pid().as_raw_nonzero().get();
            (Reply::Started { pid }, server::Server::new(folder, bundle, container, session, listener))
        }
        Err(error) => (error_reply(&error), Err(error)),
    };
    let reply = match (&server, reply) {
        (Err(error), Reply::Started { .. }) => error_reply(error),
        (_, reply) => reply,
    };
    if let Ok(mut bytes) = serde_json::to_vec(&reply) {
        bytes.push(b'\n');
        let _ = word.write_all(&bytes);
    }
    drop(word);
    match server {
        Ok(server) => server.run(),
        Err(_) => 1,
    }
}

/// A session of its own, and none of the engine's streams: whoever reads them must see their end.
fn detach_from_engine() -> Result<(), Error> {
    rustix::process::setsid().map_err(Error::system("start a session"))?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::CLOEXEC.bits().cast_signed())
        .open("/dev/null")
        .map_err(Error::system("open `/dev/null`"))?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(Error::system("leave the engine's streams"))
}

fn create(folder: &Path, bundle: &Bundle) -> Result<(Container, Session, UnixListener), Error> {
    if let Some(cgroup) = &bundle.cgroup {
        fs::create_dir_all(cgroup).map_err(Error::system("make the control group"))?;
        crate::cgroup::write(cgroup, &bundle.limits)?;
    }
    let log = bundle.log.clone().map(Log::open).transpose().map_err(Error::system("open the log"))?;
    let (container, session) = match bundle.terminal {
        Some(size) => {
            let mut terminal = Terminal::open(&pts_folder(folder))?;
            terminal.resize(runtime_oci::spec::Window { rows: size.rows, columns: size.columns })?;
            let container = Container::create(runtime_oci::Bundle {
                spec: &bundle.spec,
                stdio: Stdio::Terminal(&terminal),
            })?;
            terminal.detach()?;
            let input = bundle.open_stdin.then(|| terminal.clone_master()).transpose()?;
            let output = terminal.clone_master()?;
            set_nonblocking(&output)?;
            (container, Session::of_terminal(output.into(), input.map(OwnedFd::from), bundle.stdin_once, log))
        }
        None => {
            let (streams, session) = pipes(bundle.open_stdin, bundle.stdin_once, log)?;
            let [stdin, stdout, stderr] = streams;
            let stdio = Stdio::Streams { stdin, stdout, stderr };
            (Container::create(runtime_oci::Bundle { spec: &bundle.spec, stdio })?, session)
        }
    };
    let socket = folder.join(SOCKET);
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::system("remove an old socket")(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&socket).map_err(Error::system("listen on the shim's socket"))?;
    listener.set_nonblocking(true).map_err(Error::system("listen on the shim's socket"))?;
    Ok((container, session, listener))
}

/// The process's ends of its streams, and the session with ours.
pub(crate) fn pipes(
    has_stdin: bool,
    stdin_once: bool,
    log: Option<Log>,
) -> Result<([OwnedFd; 3], Session), Error> {
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("create a pipe"));
    let (stdout_read, stdout) = pipe()?;
    let (stderr_read, stderr) = pipe()?;
    let (stdin, stdin_write) = if has_stdin {
        let (stdin, write_end) = pipe()?;
        set_nonblocking(&write_end)?;
        (stdin, Some(write_end))
    } else {
        (File::open("/dev/null").map_err(Error::system("open `/dev/null`"))?.into(), None)
    };
    set_nonblocking(&stdout_read)?;
    set_nonblocking(&stderr_read)?;
    Ok(([stdin, stdout, stderr], Session::of_pipes(stdin_write, stdout_read, stderr_read, stdin_once, log)))
}

pub(crate) fn set_nonblocking(file: impl std::os::fd::AsFd) -> Result<(), Error> {
    let file = file.as_fd();
    rustix::fs::fcntl_getfl(file)
        .and_then(|flags| rustix::fs::fcntl_setfl(file, flags | OFlags::NONBLOCK))
        .map_err(Error::system("set up a stream"))
}

pub(crate) fn join_cgroup(cgroup: &Path, pid: rustix::process::Pid) -> Result<(), Error> {
    let what = || format!("join the control group `{}`", cgroup.display());
    fs::create_dir_all(cgroup).map_err(Error::system(what()))?;
    fs::write(cgroup.join("cgroup.procs"), pid.as_raw_nonzero().to_string()).map_err(Error::system(what()))
}

/// Where the devpts of a container's terminal is mounted while it is created.
pub(crate) fn pts_folder(folder: &Path) -> std::path::PathBuf {
    folder.join("pts")
}

fn error_reply(error: &Error) -> Reply {
    Reply::Error { message: error.to_string(), code: error.exit_code() }
}

/// Reads a file of the container's folder.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(Error::system(format!("read `{}`", path.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| Error::Stored { what: path.display().to_string(), source })
}

/// Writes one so that there is either the old or the new one whole.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let what = || format!("write `{}`", path.display());
    let bytes = serde_json::to_vec(value)
        .map_err(|source| Error::Stored { what: path.display().to_string(), source })?;
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(Error::system(what()))
}
