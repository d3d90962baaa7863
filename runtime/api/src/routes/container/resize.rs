//! The size of a container's terminal

use coffer_engine::container::TerminalSize;
use http::StatusCode;

use crate::call::{Answer, Call, Query, empty};
use crate::failure::Failure;

pub async fn resize(call: Call, id: &str) -> Answer {
    call.api.engine.container_resize(id, size(&call.query)?).await?;
    empty(StatusCode::OK)
}

/// Rows and columns, as `h` and `w`.
pub fn size(query: &Query) -> Result<TerminalSize, Failure> {
    let rows = query.number("h")?.unwrap_or_default();
    Ok(TerminalSize { rows, columns: query.number("w")?.unwrap_or_default() })
}
