//! `docker top`

use crate::call::{Answer, Call, json};

pub async fn top(call: Call, id: &str) -> Answer {
    json(&call.api.engine.container_top(id, call.query.get("ps_args")).await?)
}
