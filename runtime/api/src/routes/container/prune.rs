//! `docker container prune`

use crate::call::{Answer, Call, json};

pub async fn prune(call: Call) -> Answer {
    json(&call.api.engine.container_prune(&call.query.filters()?).await?)
}
