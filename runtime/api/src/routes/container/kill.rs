//! `docker kill`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn kill(call: Call, id: &str) -> Answer {
    call.api.engine.container_kill(id, call.query.get("signal")).await?;
    empty(StatusCode::NO_CONTENT)
}
