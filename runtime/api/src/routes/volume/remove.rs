//! `docker volume rm`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn remove(call: Call, name: &str) -> Answer {
    call.api.engine.volume_remove(name, call.query.flag("force")).await?;
    empty(StatusCode::NO_CONTENT)
}
