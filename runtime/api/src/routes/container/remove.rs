//! `docker rm`

use coffer_engine::container::RemoveOptions;
use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn remove(call: Call, id: &str) -> Answer {
    let options = RemoveOptions {
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.api.engine.container_remove(id, options).await?;
    empty(StatusCode::NO_CONTENT)
}
