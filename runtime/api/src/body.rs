//! Bodies: those of answers, sent as they come, and those of requests, read with a limit or handed on as a stream.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::failure::Failure;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The largest JSON body, in bytes.
pub const JSON_LIMIT: usize = 4 << 20;

/// How much all JSON bodies that are being read may take, in bytes.
const JSON_BUDGET: usize = 32 << 20;

/// How long a JSON body may take.
const JSON_TIMEOUT: Duration = Duration::from_secs(60);

/// What is left of [`JSON_BUDGET`], in bytes.
static BUDGET: Semaphore = Semaphore::const_new(JSON_BUDGET);

/// How many pieces may wait in a stream.
const DEPTH: usize = 16;

/// How much of a file is sent at a time, in bytes.
const PIECE: usize = 64 << 10;

/// A body that is there already.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose pieces come from elsewhere. It ends when all senders are gone; an error breaks the connection off.
#[must_use]
pub fn channel() -> (mpsc::Sender<io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(DEPTH);
    (sender, Channel { receiver }.boxed_unsync())
}

/// A body that is read from somewhere.
pub fn reader(mut source: impl AsyncRead + Send + Unpin + 'static) -> Body {
    let (sender, body) = channel();
    tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE];
            let read = source.read(&mut piece).await.map(|count| {
                piece.truncate(count);
                Bytes::from(piece)
            });
            let is_last = read.as_ref().map_or(true, Bytes::is_empty);
            if read.as_ref().is_ok_and(Bytes::is_empty) || sender.send(read).await.is_err() || is_last {
                return;
            }
        }
    });
    body
}

/// A writer whose bytes are a body's pieces, for use in a blocking thread.
#[derive(Debug)]
pub struct Writer(pub mpsc::Sender<io::Result<Bytes>>);

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(buffer.get(..buffer.len().min(PIECE)).unwrap_or_default());
        let length = piece.len();
        self.0.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Channel {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
}

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = ready!(self.receiver.poll_recv(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Reads a JSON body. An empty one is the default, as it is for docker.
///
/// # Errors
///
/// 400 when it is no such JSON, 413 beyond [`JSON_LIMIT`].
pub async fn json<T: DeserializeOwned>(body: Incoming) -> Result<T, Failure> {
    let bytes = bytes(body).await?;
    let text = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes.as_ref() };
    serde_json::from_slice(text).map_err(|error| Failure::bad_request(format!("invalid JSON: {error}")))
}

/// Reads a body of at most [`JSON_LIMIT`] bytes.
///
/// # Errors
///
/// 413 beyond, 408 when it takes too long, 503 when others take all the room that there is, 400 when the client breaks off.
pub async fn bytes(body: Incoming) -> Result<Bytes, Failure> {
    let late = |_| Failure {
        status: StatusCode::REQUEST_TIMEOUT,
        message: format!("request body takes longer than {} seconds", JSON_TIMEOUT.as_secs()),
    };
    timeout(JSON_TIMEOUT, collect(body)).await.map_err(late)?
}

async fn collect(mut body: Incoming) -> Result<Bytes, Failure> {
    let too_large = || Failure {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("request body is larger than {JSON_LIMIT} bytes"),
    };
    let no_room = || Failure {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "too many large requests at a time".to_owned(),
    };
    if body.size_hint().lower() > JSON_LIMIT as u64 {
        return Err(too_large());
    }
    let mut collected = BytesMut::new();
    let mut permits = Vec::new();
    while let Some(frame) = body.frame().await {
        let broken = |error| Failure::bad_request(format!("cannot read the request body: {error}"));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if collected.len() + data.len() > JSON_LIMIT {
            return Err(too_large());
        }
        let count = u32::try_from(data.len()).map_err(|_| too_large())?;
        permits.push(BUDGET.try_acquire_many(count).map_err(|_| no_room())?);
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

/// A request's body as a blocking reader.
#[must_use]
pub fn blocking_reader(mut body: Incoming) -> impl Read + Send {
    let (sender, receiver) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    Err(_) => continue,
                },
                Err(error) => Err(io::Error::other(error)),
            };
            let is_last = piece.is_err();
            if sender.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    BlockingReader { receiver, piece: Bytes::new() }
}

struct BlockingReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A request's body as a reader.
#[must_use]
pub fn async_reader(mut body: Incoming) -> DuplexStream {
    let (mut sink, source) = tokio::io::duplex(PIECE);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data()
                && sink.write_all(&data).await.is_err()
            {
                return;
            }
        }
    });
    source
}
