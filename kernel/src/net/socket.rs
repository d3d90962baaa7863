//! A socket of any family, and the open file over it.

use super::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use super::options::{Identity, OptionValue, Options};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::fs::vfs::inode::FileType;
use crate::process::credentials::Credentials;
use crate::syscall::UserPtr;
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{SO_ACCEPTCONN, SO_DOMAIN, SO_ERROR, SO_PROTOCOL, SO_TYPE, SOL_SOCKET, ucred};
use core::any::Any;
use ostd::mm::{VmReader, VmWriter};

/// FIONREAD, also called SIOCINQ.
const FIONREAD: u32 = 0x541b;
/// TIOCOUTQ, also called SIOCOUTQ.
const TIOCOUTQ: u32 = 0x5411;

/// SOCK_STREAM and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Bytes in order.
    Stream = 1,
    /// Messages, each for itself.
    Datagram = 2,
    /// Messages with their headers.
    Raw = 3,
    /// Messages in order.
    SeqPacket = 5,
}

/// Which direction shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shutdown {
    /// SHUT_RD.
    Read = 1,
    /// SHUT_WR.
    Write = 2,
    /// SHUT_RDWR.
    Both = 3,
}

/// A socket. Addresses are bytes of a `sockaddr`, family first.
pub trait Socket: Any + Send + Sync + core::fmt::Debug {
    /// AF_*.
    fn family(&self) -> u16;

    /// Its type.
    fn kind(&self) -> Kind;

    /// Its protocol (SO_PROTOCOL).
    fn protocol(&self) -> u32 {
        0
    }

    /// The options that every socket has.
    fn options(&self) -> &Options;

    /// bind(2).
    fn bind(&self, address: &[u8], thread: &Thread) -> Result<()>;

    /// listen(2).
    fn listen(&self, backlog: usize, thread: &Thread) -> Result<()>;

    /// connect(2).
    fn connect(&self, address: &[u8], is_nonblocking: bool, thread: &Thread) -> Result<()>;

    /// accept(2).
    fn accept(&self, is_nonblocking: bool) -> Result<Arc<dyn Socket>>;

    /// getsockname(2).
    fn local_address(&self) -> Result<Vec<u8>>;

    /// getpeername(2).
    fn peer_address(&self) -> Result<Vec<u8>>;

    /// Who is at the other end (SO_PEERCRED).
    fn peer_credentials(&self) -> Result<ucred> {
        Err(Errno::ENOPROTOOPT.into())
    }

    /// send(2). EPIPE comes without SIGPIPE.
    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize>;

    /// recv(2).
    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming>;

    /// shutdown(2).
    fn shutdown(&self, how: Shutdown) -> Result<()>;

    /// Whether it listens (SO_ACCEPTCONN).
    fn is_listening(&self) -> bool;

    /// The error to report once (SO_ERROR).
    fn take_error(&self) -> Option<Errno>;

    /// getsockopt(2) of what [`Options`] does not know.
    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        let _ = name;
        Err(unknown_option(level))
    }

    /// setsockopt(2) of what [`Options`] does not know.
    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        let _ = (name, value);
        Err(unknown_option(level))
    }

    /// The peer of a connection that was accepted just now, even if it is gone already.
    fn accepted_from(&self) -> Vec<u8> {
        self.peer_address().unwrap_or_default()
    }

    /// ioctl(2): commands of the family, but for FIONREAD and TIOCOUTQ.
    fn ioctl(&self, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        super::ioctl::link_ioctl(command, argument, context)
    }

    /// Bytes to read (FIONREAD).
    fn unread_bytes(&self) -> usize;

    /// Bytes sent that the peer has not read (SIOCOUTQ).
    fn unsent_bytes(&self) -> usize;

    /// Bytes of memory that last as long as it.
    fn kept_bytes(&self) -> usize {
        self.unread_bytes()
    }

    /// What is ready.
    fn poll(&self) -> IoEvents;

    /// Who is told when that changes.
    fn pollee(&self) -> &Pollee;
}

/// The open file over a socket.
#[derive(Debug)]
pub struct SocketFile(Arc<dyn Socket>);

/// An open file for `socket`. `status` is O_NONBLOCK or 0.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn open(socket: Arc<dyn Socket>, status: u32, credentials: &Credentials) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let owner = (credentials.fsuid(), credentials.fsgid());
    let path = pseudo::new_path(FileType::Socket, 0o777, owner, |ino| {
        socket.options().set_identity(Identity { ino, uid: owner.0 });
        alloc::format!("socket:[{ino}]")
    });
    Ok(OpenFile::new(path, Arc::new(SocketFile(socket)), O_RDWR | status))
}

/// The socket behind `file`: ENOTSOCK.
///
/// # Errors
/// ENOTSOCK.
pub fn of(file: &OpenFile) -> Result<&Arc<dyn Socket>> {
    file.downcast::<SocketFile>().map(|file| &file.0).ok_or(Error::new(Errno::ENOTSOCK))
}

/// getsockopt(2) at SOL_SOCKET; SO_PEERCRED is apart, its value being longer.
///
/// # Errors
/// ENOPROTOOPT.
pub fn option(socket: &dyn Socket, name: u32) -> Result<OptionValue> {
    Ok(OptionValue::Int(match name {
        SO_TYPE => socket.kind() as i32,
        SO_DOMAIN => i32::from(socket.family()),
        SO_PROTOCOL => socket.protocol().cast_signed(),
        SO_ERROR => socket.take_error().map_or(0, |errno| errno as i32),
        SO_ACCEPTCONN => i32::from(socket.is_listening()),
        _ => {
            return match socket.options().get(name) {
                Err(error) if error.errno() == Errno::ENOPROTOOPT => socket.option(SOL_SOCKET, name),
                result => result,
            };
        }
    }))
}

/// setsockopt(2) at SOL_SOCKET.
///
/// # Errors
/// EINVAL, ENOPROTOOPT.
pub fn set_option(socket: &dyn Socket, name: u32, value: &[u8]) -> Result<()> {
    match socket.options().set(name, value) {
        Err(error) if error.errno() == Errno::ENOPROTOOPT => socket.set_option(SOL_SOCKET, name, value),
        result => result,
    }
}

/// What an option that nobody knows fails with.
pub fn unknown_option(level: u32) -> Error {
    if level == SOL_SOCKET { Errno::ENOPROTOOPT.into() } else { Errno::EOPNOTSUPP.into() }
}

impl FileOps for SocketFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let how = ReceiveHow { flags: 0, is_nonblocking: file.is_nonblocking() };
        Ok(self.0.receive(writer, how)?.len)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let message = Outgoing { is_nonblocking: file.is_nonblocking(), ..Outgoing::default() };
        self.0.send(reader, message)
    }

    fn kept_bytes(&self, _file: &OpenFile) -> usize {
        self.0.kept_bytes()
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        self.0.poll()
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(self.0.pollee())
    }

    fn ioctl(
        &self,
        _file: &OpenFile,
        command: u32,
        argument: usize,
        context: &mut Context<'_>,
    ) -> Result<isize> {
        let bytes = match command {
            FIONREAD | TIOCOUTQ if self.0.is_listening() => return Err(Errno::EINVAL.into()),
            FIONREAD => self.0.unread_bytes(),
            TIOCOUTQ => self.0.unsent_bytes(),
            _ => return self.0.ioctl(command, argument, context),
        };
        UserPtr::<i32>::new(argument).write(&(bytes as i32)).map(|()| 0)
    }
}

/// A wait that ended early: a time limit is EAGAIN here, and a call with one is not restarted after a signal (signal(7)).
pub fn interrupted(error: Error, deadline_ns: Option<u64>) -> Error {
    match error.errno() {
        Errno::ETIMEDOUT => Errno::EAGAIN.into(),
        Errno::ERESTARTSYS if deadline_ns.is_some() => Errno::EINTR.into(),
        _ => error,
    }
}
