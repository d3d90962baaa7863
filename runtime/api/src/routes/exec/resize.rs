//! The size of an exec's terminal

use http::StatusCode;

use crate::call::{Answer, Call, empty};
use crate::routes::container::size;

pub async fn resize(call: Call, id: &str) -> Answer {
    call.api.engine.exec_resize(id, size(&call.query)?).await?;
    empty(StatusCode::OK)
}
