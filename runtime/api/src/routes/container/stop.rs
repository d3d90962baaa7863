//! `docker stop`

use crate::call::{Answer, Call, empty};
use crate::routes::container::start::status;

pub async fn stop(call: Call, id: &str) -> Answer {
    let timeout = call.query.number("t")?;
    let change = call.api.engine.container_stop(id, call.query.get("signal"), timeout).await?;
    empty(status(change))
}
