//! Accepting connections, and what a client can cost.
//!
//! Nobody is known before TLS is done, so a handshake has little time, and only so many go on at once: when one more comes, the
//! oldest goes, so that a flood of half-open connections cannot keep an honest client out, whose handshake is short. Behind it,
//! connections, the heads of their requests and the time these may take ([`heads`]) are limited, each listener's by themselves
//! ([`Budget`]): what strangers take never lacks where clients with a certificate come in.

mod certificate;
mod heads;
mod served;
mod tls;

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use certificate::{Identity, Vouched, subject_names};
use heads::{Stage, Timed};
use served::Served;
pub use tls::{Error as TlsError, config, open_config};

use crate::body::Body;
use crate::{Api, router};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the head of a request may take from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// About the longest head of a request, in bytes: hyper looks between two reads, the last of which may be as long again.
const HEAD_LIMIT: usize = 64 << 10;

/// The most headers of a request.
const MAX_HEADERS: usize = 128;

/// The pause when the machine has no descriptor left for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What the clients of one listener may take of the machine together.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The most handshakes at a time; for one more, the oldest goes.
    handshakes: usize,
    /// The most connections after them.
    connections: usize,
    /// Whether the oldest connection that waits for nothing of ours is closed for one more; else one more is refused.
    gives_way: bool,
    /// How long a connection may be without a request.
    idle: Duration,
}

impl Budget {
    /// Clients who may do anything, so they hold a certificate or are at the machine itself.
    pub const CLIENTS: Self =
        Self { handshakes: 256, connections: 512, gives_way: false, idle: Duration::from_secs(300) };

    /// Anybody who reaches the machine.
    pub const STRANGERS: Self =
        Self { handshakes: 64, connections: 64, gives_way: true, idle: Duration::from_secs(10) };

    /// The processes of one container.
    pub const CONTAINER: Self =
        Self { handshakes: 0, connections: 4, gives_way: true, idle: Duration::from_secs(10) };
}

/// What answers requests.
pub trait Service: Clone + Send + 'static {
    /// Answers one.
    fn answer(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

impl Service for Api {
    fn answer(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        router::answer(self, request)
    }
}

/// Serves clients that TLS lets in, until the task is dropped, and their connections with it.
pub async fn tcp(listener: TcpListener, acceptor: TlsAcceptor, service: impl Service, budget: Budget) {
    let served = Arc::new(Served::new(budget));
    let mut tasks = JoinSet::new();
    let mut handshakes = VecDeque::<AbortHandle>::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        handshakes.retain(|handshake| !handshake.is_finished());
        if handshakes.len() >= budget.handshakes
            && let Some(oldest) = handshakes.pop_front()
        {
            oldest.abort();
        }
        let (acceptor, service, served) = (acceptor.clone(), service.clone(), Arc::clone(&served));
        let handshake = tasks.spawn(async move {
            // Who is refused here learns so by TLS's own alert; there is nothing to log that a stranger could not fill the log with.
            let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(stream, acceptor)).await;
            if let Ok(Ok(stream)) = shaken {
                served.enter(|stage| connection(stream, service, stage, budget.idle));
            }
        });
        handshakes.push_back(handshake);
    }
}

/// Serves whoever may open the socket, until the task is dropped, and their connections with it.
pub async fn unix(listener: UnixListener, service: impl Service, budget: Budget) {
    let served = Served::new(budget);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => served.enter(|stage| connection(stream, service.clone(), stage, budget.idle)),
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &impl Display) {
    eprintln!("coffer: cannot accept a connection: {error}");
    tokio::time::sleep(PAUSE).await;
}

async fn shake_hands(
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}

/// Serves one connection. Those that become streams live on after it.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    asked: impl Service,
    stage: Stage,
    idle: Duration,
) {
    let stream = Timed::new(stream, stage.clone(), HEAD_TIMEOUT);
    let service = service_fn(move |request| {
        let (asked, stage) = (asked.clone(), stage.clone());
        stage.begin();
        async move {
            let response = asked.answer(request).await;
            // What follows a switch of protocols is no head.
            let is_last = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            let response = if is_last { response } else { response.map(|body| stage.until_sent(body)) };
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // What goes wrong with a connection is its client's to see.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEAD_LIMIT)
        .max_headers(MAX_HEADERS)
        // A client may say that it sends no more and still want its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}
