//! `docker diff`

use crate::call::{Answer, Call, json};

pub async fn changes(call: Call, id: &str) -> Answer {
    json(&call.api.engine.container_changes(id).await?)
}
