//! The second half of `docker exec`

use coffer_engine::models::ExecStartConfig;
use http::StatusCode;

use crate::body;
use crate::call::{Answer, Call, empty};
use crate::hijack;
use crate::routes::container::TYPED;

pub async fn start(call: Call, id: &str) -> Answer {
    let Call { api, version, body, upgrade, .. } = call;
    let config: ExecStartConfig = body::json(body).await?;
    match api.engine.exec_start(id, config).await? {
        Some(attachment) => hijack::answer(attachment, upgrade, None, version >= TYPED),
        None => empty(StatusCode::OK),
    }
}
