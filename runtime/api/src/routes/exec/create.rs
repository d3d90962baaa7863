//! The first half of `docker exec`

use coffer_engine::models::ExecConfig;
use http::StatusCode;

use crate::call::{Answer, Call, json_with};

pub async fn create(call: Call, container: &str) -> Answer {
    let engine = call.api.engine.clone();
    let config: ExecConfig = call.json().await?;
    json_with(StatusCode::CREATED, &engine.exec_create(container, config).await?)
}
