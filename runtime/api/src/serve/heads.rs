//! [`Timed`]: a connection on which the head of a request has to come quickly once it has begun.
//!
//! hyper has one limit of time for both, waiting for a request and reading its head. Docker's client keeps connections for its next command, so
//! the first must be long; a client that sends its head a byte at a time must not hold a connection for as long as that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::body::Body;

/// Nothing has come since the last answer.
const IDLE: u8 = 0;
/// Some of a head has come.
const HEAD: u8 = 1;
/// A head was read, and its request is being served.
const SERVING: u8 = 2;
/// Its answer is being sent.
const SENDING: u8 = 3;

/// What a connection is at. The connection and the requests on it share one.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<AtomicU8>);

impl Stage {
    /// The head is there whole.
    pub fn begin(&self) {
        self.0.store(SERVING, Ordering::Relaxed);
    }

    /// A body at whose end the next head may begin.
    pub fn until_sent(&self, body: Body) -> Body {
        self.0.store(SENDING, Ordering::Relaxed);
        Last { inner: body, stage: self.clone() }.boxed_unsync()
    }

    /// Whether no whole request has come since the last answer.
    pub fn is_idle(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), IDLE | HEAD)
    }

    /// Whether nothing but the client is waited for, which is to take its answer.
    pub fn is_sending(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SENDING
    }
}

/// The body of an answer; what follows when it has gone is the next request.
struct Last {
    inner: Body,
    stage: Stage,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.stage.0.store(IDLE, Ordering::Relaxed);
    }
}

impl http_body::Body for Last {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection whose reads fail once a head has taken too long.
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    stage: Stage,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    /// Reads `stream`, whose heads may take `limit` each.
    pub fn new(stream: S, stage: Stage, limit: Duration) -> Self {
        Self { stream, stage, limit, deadline: Box::pin(sleep(limit)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.stage.0.load(Ordering::Relaxed) == HEAD && this.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let has_begun = buffer.filled().len() > before
            && this.stage.0.compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if has_begun {
            this.deadline.as_mut().reset(Instant::now() + this.limit);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
