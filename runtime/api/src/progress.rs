//! Progress of pull and load: one JSON object a line, and errors as one more, because the 200 is out by then.

use std::io;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::body::{self, Body};
use crate::call::{Answer, typed};

/// Tells a client what goes on. Also for blocking threads.
#[derive(Clone, Debug)]
pub struct Progress(mpsc::Sender<io::Result<Bytes>>);

/// A stream of progress, and the answer that it is sent in.
pub fn stream() -> (Progress, Answer) {
    let (sender, body): (_, Body) = body::channel();
    (Progress(sender), Ok(typed(StatusCode::OK, "application/json", body)))
}

impl Progress {
    /// One line. False when the client has gone.
    pub async fn send(&self, line: &Value) -> bool {
        self.0.send(Ok(encode(line))).await.is_ok()
    }

    /// One line, from a blocking thread.
    pub fn blocking_send(&self, line: &Value) -> bool {
        self.0.blocking_send(Ok(encode(line))).is_ok()
    }

    /// Whether the client has gone.
    pub fn has_nobody(&self) -> bool {
        self.0.is_closed()
    }

    /// The last line, when it went wrong.
    pub async fn fail(&self, message: &str) {
        self.send(&failure(message)).await;
    }
}

/// Both spellings of an error: old clients read the second.
pub fn failure(message: &str) -> Value {
    json!({"errorDetail": {"message": message}, "error": message})
}

fn encode(line: &Value) -> Bytes {
    Bytes::from(format!("{line}\r\n"))
}
