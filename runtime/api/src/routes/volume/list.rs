//! `docker volume ls`

use crate::call::{Answer, Call, json};

pub async fn list(call: Call) -> Answer {
    json(&call.api.engine.volume_list(&call.query.filters()?).await?)
}
