//! `docker rename`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn rename(call: Call, id: &str) -> Answer {
    call.api.engine.container_rename(id, call.query.get("name").unwrap_or_default()).await?;
    empty(StatusCode::NO_CONTENT)
}
