//! `docker ps`

use coffer_engine::container::ListOptions;

use crate::call::{Answer, Call, json};

pub async fn list(call: Call) -> Answer {
    let options = ListOptions {
        all: call.query.flag("all"),
        limit: call
            .query
            .number::<i64>("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|&n| n > 0),
        size: call.query.flag("size"),
        filters: call.query.filters()?,
    };
    json(&call.api.engine.container_list(options).await?)
}
