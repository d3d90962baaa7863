//! The engine's side of the [`protocol`](super::protocol).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{EXIT, Exit, Reply, Request, SOCKET};
use crate::Error;

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
    /// What the shim says; [`Error::System`] when it is gone.
    pub async fn ask(&self, request: &Request, descriptor: Option<OwnedFd>) -> Result<Reply, Error> {
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

    /// Waits for the end of the first process: by the shim, or by what it wrote before it ended itself. None when it was killed.
    pub async fn wait(&self) -> Option<Exit> {
        match self.ask(&Request::Wait { exec: None }, None).await {
            Ok(Reply::Exit(exit)) => Some(exit),
            _ => super::read_json(&self.folder.join(EXIT)).ok(),
        }
    }

    /// Waits for the end of a process that joined. None when nobody knows.
    pub async fn wait_exec(&self, id: &str) -> Option<Exit> {
        match self.ask(&Request::Wait { exec: Some(id.to_owned()) }, None).await {
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
