//! The way from the engine to PID 1: a pair of sockets that keep messages apart. A question is a record with the number 0, an answer one byte,
//! 0 for done; else words follow.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use attestation_evidence::RuntimeEvent;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

use crate::Log;

/// Longer than any record or answer.
const MESSAGE_LIMIT: usize = 512;

const DONE: u8 = 0;
const REFUSED: u8 = 1;

/// PID 1's end.
#[derive(Debug)]
pub struct Server(OwnedFd);

/// The engine's end.
#[derive(Debug)]
pub struct Client(Mutex<OwnedFd>);

/// Why something was not measured. It must not happen, then.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// PID 1 cannot be asked.
    #[error("cannot ask PID 1 for a measurement")]
    Channel(#[from] io::Error),
    /// PID 1 refuses, in its own words.
    #[error("it was not measured: {0}")]
    Refused(String),
}

/// Both ends: PID 1's, and the one to be the engine's standard input.
///
/// # Errors
///
/// When there is no descriptor left.
pub fn pair() -> io::Result<(Server, OwnedFd)> {
    let (server, client) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Server(server), client))
}

impl Server {
    /// Answers what has been asked so far. An engine that is gone asks nothing.
    pub fn answer(&self, log: &mut Log) {
        let mut message = [0; MESSAGE_LIMIT];
        while let Ok((length @ 1.., _)) = recv(&self.0, &mut message[..], RecvFlags::DONTWAIT) {
            let question = message.get(..length).unwrap_or_default();
            let result = match RuntimeEvent::from_record(question, 0) {
                Ok(event) => log.append(&event).map_err(|error| words(&error)),
                Err(error) => Err(error.to_string()),
            };
            let mut answer = vec![DONE];
            if let Err(words) = result {
                answer = vec![REFUSED];
                answer.extend(words.bytes().take(MESSAGE_LIMIT - 1));
            }
            let _ = send(&self.0, &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Client {
    /// The end that this process was started with, as its standard input.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn inherited() -> io::Result<Self> {
        Ok(Self(Mutex::new(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?)))
    }

    /// That end.
    #[must_use]
    pub fn new(end: OwnedFd) -> Self {
        Self(Mutex::new(end))
    }

    /// Has an event measured. Only when this has returned may what it tells of begin.
    ///
    /// # Errors
    ///
    /// When PID 1 does not measure it.
    pub fn measure(&self, event: &RuntimeEvent) -> Result<(), ClientError> {
        let end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        send(&*end, event.record(0).as_bytes(), SendFlags::NOSIGNAL).map_err(io::Error::from)?;
        let mut answer = [0; MESSAGE_LIMIT];
        let (length, _) = recv(&*end, &mut answer[..], RecvFlags::empty()).map_err(io::Error::from)?;
        match answer.get(..length).unwrap_or_default() {
            [DONE] => Ok(()),
            [REFUSED, words @ ..] => Err(ClientError::Refused(String::from_utf8_lossy(words).into_owned())),
            _ => Err(ClientError::Channel(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// The error and its cause.
fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use attestation_evidence::{Mode, RuntimeEvent, RuntimeLog};
    use rustix::event::{PollFd, PollFlags, poll};

    use super::{Client, ClientError, pair};
    use crate::{Log, of_machine};

    #[test]
    fn the_engine_asks_and_pid_1_measures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path, of_machine().unwrap()).unwrap();
        for event in [
            RuntimeEvent::Configuration([1; 48]),
            RuntimeEvent::Mode(Mode::Open),
            RuntimeEvent::ClientAuthority([0; 48]),
        ] {
            log.append(&event).unwrap();
        }
        let (server, end) = pair().unwrap();
        let engine = thread::spawn(move || {
            let client = Client::new(end);
            // PID 1's own are not the engine's to say.
            let error = client.measure(&RuntimeEvent::Mode(Mode::Sealed)).unwrap_err();
            assert!(matches!(error, ClientError::Refused(words) if words.contains("wrong time")));
            client.measure(&RuntimeEvent::TlsKey([3; 48])).unwrap();
            client.measure(&RuntimeEvent::BootEnd).unwrap();
        });
        for _ in 0..3 {
            poll(&mut [PollFd::new(&server, PollFlags::IN)], None).unwrap();
            server.answer(&mut log);
        }
        engine.join().unwrap();
        assert!(RuntimeLog::parse(&std::fs::read(&path).unwrap()).unwrap().is_booted());
    }

    #[test]
    fn without_pid_1_nothing_is_measured() {
        let (server, end) = pair().unwrap();
        drop(server);
        assert!(matches!(Client::new(end).measure(&RuntimeEvent::BootEnd), Err(ClientError::Channel(_))));
    }
}
