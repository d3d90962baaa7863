//! `docker inspect`

use crate::call::{Answer, Call, json};

pub async fn inspect(call: Call, id: &str) -> Answer {
    json(&call.api.engine.container_inspect(id, call.query.flag("size")).await?)
}
