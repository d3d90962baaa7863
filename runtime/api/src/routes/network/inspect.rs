//! `docker network inspect`

use crate::call::{Answer, Call, json};

pub async fn inspect(call: Call, name: &str) -> Answer {
    json(&call.api.engine.network_inspect(name).await?)
}
