//! `docker logs`

use coffer_engine::container::LogsOptions;
use http::StatusCode;

use crate::body;
use crate::call::{Answer, Call, Version, typed};

/// Since this version the type tells whether there are frames.
pub const TYPED: Version = Version { major: 1, minor: 42 };

pub async fn logs(call: Call, id: &str) -> Answer {
    let options = LogsOptions {
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        follow: call.query.flag("follow"),
        timestamps: call.query.flag("timestamps"),
        since: call.query.text("since"),
        until: call.query.text("until"),
        tail: call.query.text("tail"),
    };
    let mut logs = call.api.engine.container_logs(id, options).await?;
    let content_type = if logs.is_terminal || call.version < TYPED {
        "application/vnd.docker.raw-stream"
    } else {
        "application/vnd.docker.multiplexed-stream"
    };
    let (sender, body) = body::channel();
    tokio::spawn(async move {
        loop {
            let piece = tokio::select! {
                piece = logs.next() => piece,
                // The client has gone, though nothing comes that could not be sent.
                () = sender.closed() => return,
            };
            let Some(piece) = piece else { return };
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    });
    Ok(typed(StatusCode::OK, content_type, body))
}
