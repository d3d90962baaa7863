//! `docker start`, and the second half of `docker run`

use coffer_engine::container::Change;
use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn start(call: Call, id: &str) -> Answer {
    let change = call.api.engine.container_start(id).await?;
    empty(status(change))
}

/// 304 when there was nothing to do.
pub fn status(change: Change) -> StatusCode {
    match change {
        Change::Done => StatusCode::NO_CONTENT,
        Change::AlreadySo => StatusCode::NOT_MODIFIED,
    }
}
