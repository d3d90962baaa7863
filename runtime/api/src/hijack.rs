//! Connections that become the streams of a process (attach, exec).
//!
//! A client that asks for an upgrade gets 101, and from then on bytes go both ways as they are; those it sent behind the request's head
//! are input already. Each way ends by itself: the end of the client's input closes the process's, and the connection ends after the last
//! byte of output. A client that does not ask gets 200 and the output as the body, and its request's body is the input.

use std::time::Duration;

use coffer_engine::container::{Attachment, Logs};
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::body::{self, Body};
use crate::call::{Answer, typed};

/// How long the end of a stream waits for the exit code that belongs to it.
const SETTLING: Duration = Duration::from_secs(5);

const RAW: &str = "application/vnd.docker.raw-stream";

/// Connects the client with a process.
pub fn answer(
    attachment: Attachment,
    upgrade: Option<OnUpgrade>,
    request_body: Option<Incoming>,
    is_new: bool,
) -> Answer {
    // Since API 1.42 the type tells whether there are frames.
    let content_type =
        if attachment.is_terminal || !is_new { RAW } else { "application/vnd.docker.multiplexed-stream" };
    match upgrade {
        Some(upgrade) => {
            tokio::spawn(async move {
                if let Ok(connection) = upgrade.await {
                    let (input, output) = tokio::io::split(TokioIo::new(connection));
                    connect(attachment, input, output).await;
                }
            });
            Ok(switched(content_type))
        }
        None => Ok(typed(StatusCode::OK, content_type, body_of(attachment, request_body))),
    }
}

/// Tells the client something instead of connecting it.
pub fn last_words(bytes: Vec<u8>, upgrade: Option<OnUpgrade>) -> Answer {
    let Some(upgrade) = upgrade else { return Ok(typed(StatusCode::OK, RAW, body::full(bytes))) };
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let mut connection = TokioIo::new(connection);
            // A client that has gone does not want to know.
            let _ = connection.write_all(&bytes).await;
            let _ = connection.shutdown().await;
        }
    });
    Ok(switched(RAW))
}

fn switched(content_type: &'static str) -> Response<Body> {
    let mut response = typed(StatusCode::SWITCHING_PROTOCOLS, content_type, body::full(""));
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response
}

fn body_of(attachment: Attachment, request_body: Option<Incoming>) -> Body {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    match request_body {
        Some(request_body) => tokio::spawn(connect(attachment, body::async_reader(request_body), ours)),
        None => tokio::spawn(connect(attachment, tokio::io::empty(), ours)),
    };
    body::reader(theirs)
}

/// Copies both ways until the process's output has ended, or the client has gone.
async fn connect(
    Attachment { logs, stream, ended, .. }: Attachment,
    mut input: impl AsyncRead + Send + Unpin + 'static,
    mut output: impl AsyncWrite + Unpin,
) {
    let (mut from_process, mut to_process) = stream.into_split();
    // On its own, because it may wait for the client for ever.
    let input = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut input, &mut to_process).await;
        // A client that is gone and one that has closed its side look the same here; both are the end of the input.
        let _ = to_process.shutdown().await;
    });
    if send_logs(logs, &mut output).await.is_ok() {
        // A client that has gone is no error of ours.
        let _ = tokio::io::copy(&mut from_process, &mut output).await;
    }
    if let Some(mut ended) = ended {
        // Clients ask for the exit code as soon as the stream has ended. A process may close its streams and go on.
        let _ = timeout(SETTLING, ended.wait_for(|has_ended| *has_ended)).await;
    }
    let _ = output.shutdown().await;
    input.abort();
}

async fn send_logs(logs: Option<Logs>, output: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    if let Some(mut logs) = logs {
        while let Some(piece) = logs.next().await {
            output.write_all(&piece).await?;
        }
    }
    Ok(())
}
