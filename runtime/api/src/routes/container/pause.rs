//! `docker pause` and `docker unpause`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn pause(call: Call, id: &str) -> Answer {
    call.api.engine.container_pause(id).await?;
    empty(StatusCode::NO_CONTENT)
}

pub async fn unpause(call: Call, id: &str) -> Answer {
    call.api.engine.container_unpause(id).await?;
    empty(StatusCode::NO_CONTENT)
}
