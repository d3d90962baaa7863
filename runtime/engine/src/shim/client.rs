//! The engine's side of the [`protocol`](super::protocol).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{EXIT, Exit, Reply, Request, SOCKET};
use crate::Error;

/// How long a shim may take to do what it is asked for. A process joins in far less, even on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often who waits for an end looks whether it was written down.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// After so many looks the shim is knocked at: whether there is one still.
const LOOKS_PER_KNOCK: u32 = 15;
/// The pause before a shim that broke a connection off is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// A shim, by the folder of its container. It may have ended.
#[derive(Clone, Debug)]
pub struct Shim {
    folder: PathBuf,
}

impl Shim {
    /// The shim of the container in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// What the shim says; [`Error::System`] when it is gone or takes too long.
    pub async fn ask(&self, request: &Request, descriptor: Option<OwnedFd>) -> Result<Reply, Error> {
        match tokio::time::timeout(PATIENCE, self.exchange(request, descriptor)).await {
            Ok(result) => result,
            Err(_) => {
                Err(Error::system("hear from the container's shim")(io::Error::from(io::ErrorKind::TimedOut)))
            }
        }
    }

    async fn exchange(&self, request: &Request, descriptor: Option<OwnedFd>) -> Result<Reply, Error> {
        let gone = |error| Error::system("reach the container's shim")(error);
        let mut stream = UnixStream::connect(self.folder.join(SOCKET)).await.map_err(gone)?;
        let mut line = serde_json::to_vec(request)
            .map_err(|source| Error::Stored { what: "request to the shim".to_owned(), source })?;
        line.push(b'\n');
        let rest = match descriptor {
            None => &line[..],
            Some(descriptor) => {
                let sent = send_with(&stream, &line, &descriptor).await.map_err(gone)?;
                line.get(sent..).unwrap_or_default()
            }
        };
        stream.write_all(rest).await.map_err(gone)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await.map_err(gone)?;
        if answer.is_empty() {
            return Err(gone(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_str(&answer) {
            Ok(Reply::Error { message, code }) => Err(Error::Start { message, code }),
            Ok(reply) => Ok(reply),
            Err(source) => Err(Error::Stored { what: "answer of the shim".to_owned(), source }),
        }
    }

    /// Waits for the end of the first process. None when the shim was killed.
    ///
    /// What the shim wrote down before it answers is the truth, and the answer only the fastest way to it: a shim that ends may never accept
    /// a connection that was made a moment before.
    pub async fn wait(&self) -> Option<Exit> {
        let written = || super::read_json::<Exit>(&self.folder.join(EXIT)).ok();
        loop {
            let answer = self.exchange(&Request::Wait { exec: None }, None);
            tokio::pin!(answer);
            let mut looks = 0_u32;
            loop {
                tokio::select! {
                    answer = &mut answer => match answer {
                        Ok(Reply::Exit(exit)) => return Some(exit),
                        _ => break,
                    },
                    () = tokio::time::sleep(LOOK_AGAIN) => {
                        if let Some(exit) = written() {
                            return Some(exit);
                        }
                        looks += 1;
                        if looks.is_multiple_of(LOOKS_PER_KNOCK) && !self.is_there().await {
                            break;
                        }
                    }
                }
            }
            // In this order: a shim that is gone has written before.
            let is_there = self.is_there().await;
            if let Some(exit) = written() {
                return Some(exit);
            }
            if !is_there {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether somebody listens at its socket, be it that he is too busy to answer.
    async fn is_there(&self) -> bool {
        let knock = UnixStream::connect(self.folder.join(SOCKET));
        match tokio::time::timeout(PATIENCE, knock).await {
            Ok(Err(error)) => {
                !matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
            }
            Ok(Ok(_)) | Err(_) => true,
        }
    }

    /// Waits for the end of a process that joined. None when nobody knows.
    pub async fn wait_exec(&self, id: &str) -> Option<Exit> {
        match self.exchange(&Request::Wait { exec: Some(id.to_owned()) }, None).await {
            Ok(Reply::Exit(exit)) => Some(exit),
            _ => None,
        }
    }
}

/// Sends the beginning of `bytes` together with a descriptor.
async fn send_with(stream: &UnixStream, bytes: &[u8], descriptor: &OwnedFd) -> io::Result<usize> {
    loop {
        stream.writable().await?;
        let sent = stream.try_io(tokio::io::Interest::WRITABLE, || {
            let descriptors = [descriptor.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            Ok(rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::shim::write_json;

    const AN_EXIT: Exit = Exit { code: 7, at_ns: 1 };

    async fn wait(folder: &Path) -> Option<Exit> {
        let shim = Shim::new(folder);
        tokio::time::timeout(Duration::from_secs(20), shim.wait()).await.expect("a wait that ends")
    }

    #[tokio::test]
    async fn an_exit_that_was_written_down_ends_a_wait_that_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        // Takes connections into its queue and no further.
        let _listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let writer = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            write_json(&folder.path().join(EXIT), &AN_EXIT).unwrap();
        };
        assert_eq!(tokio::join!(wait(folder.path()), writer).0, Some(AN_EXIT));
    }

    #[tokio::test]
    async fn a_shim_that_ends_with_the_question_in_its_queue_has_written_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let ending = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            write_json(&folder.path().join(EXIT), &AN_EXIT).unwrap();
            drop(listener);
        };
        assert_eq!(tokio::join!(wait(folder.path()), ending).0, Some(AN_EXIT));
    }

    #[tokio::test]
    async fn a_shim_that_was_killed_has_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(folder.path().join(SOCKET)).unwrap());
        assert_eq!(wait(folder.path()).await, None);
    }

    #[tokio::test]
    async fn a_shim_that_breaks_off_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shim = async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            // The question, and who knocks to see whether somebody is there.
            for _ in 0..2 {
                drop(listener.accept().await.unwrap());
            }
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut question = String::new();
            stream.read_line(&mut question).await.unwrap();
            let mut answer = serde_json::to_vec(&Reply::Exit(AN_EXIT)).unwrap();
            answer.push(b'\n');
            stream.write_all(&answer).await.unwrap();
        };
        assert_eq!(tokio::join!(wait(folder.path()), shim).0, Some(AN_EXIT));
    }
}
