//! How a process of `docker exec` is

use crate::call::{Answer, Call, json};

pub async fn inspect(call: Call, id: &str) -> Answer {
    json(&call.api.engine.exec_inspect(id).await?)
}
