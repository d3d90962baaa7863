//! `docker restart`

use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn restart(call: Call, id: &str) -> Answer {
    let timeout = call.query.number("t")?;
    call.api.engine.container_restart(id, call.query.get("signal"), timeout).await?;
    empty(StatusCode::NO_CONTENT)
}
