//! `docker export`

use http::StatusCode;

use crate::body;
use crate::call::{Answer, Call, typed};

pub async fn export(call: Call, id: &str) -> Answer {
    let tar = call.api.engine.container_export(id).await?;
    Ok(typed(StatusCode::OK, "application/x-tar", body::reader(tar)))
}
