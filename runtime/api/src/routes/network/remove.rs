//! `docker network rm`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn remove(call: Call, name: &str) -> Answer {
    call.api.engine.network_remove(name).await?;
    empty(StatusCode::NO_CONTENT)
}
