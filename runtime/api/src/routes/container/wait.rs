//! `docker wait`, and what `docker run` learns the exit code by
//!
//! Status line and headers go out at once: the client starts the container only when it has them.

use bytes::Bytes;
use coffer_engine::container::Condition;
use http::StatusCode;

use crate::body;
use crate::call::{Answer, Call, typed};
use crate::failure::Failure;

pub async fn wait(call: Call, id: &str) -> Answer {
    let condition = match call.query.get("condition") {
        None | Some("not-running") => Condition::NotRunning,
        Some("next-exit") => Condition::NextExit,
        Some("removed") => Condition::Removed,
        Some(other) => return Err(Failure::bad_request(format!("invalid condition: \"{other}\""))),
    };
    let wait = call.api.engine.container_wait(id, condition).await?;
    let (sender, body) = body::channel();
    tokio::spawn(async move {
        let result = tokio::select! {
            result = wait.done() => result,
            () = sender.closed() => return,
        };
        let json = serde_json::to_vec(&result).map(Bytes::from).map_err(std::io::Error::other);
        // A client that has gone does not want to know.
        let _ = sender.send(json).await;
    });
    Ok(typed(StatusCode::OK, "application/json", body))
}
