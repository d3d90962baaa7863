//! The first half of `docker exec`

use coffer_engine::models::ExecConfig;
use http::StatusCode;
use serde_json::json;

use crate::call::{Answer, Call, json_with};

pub async fn create(call: Call, container: &str) -> Answer {
    let engine = call.api.engine.clone();
    let config: ExecConfig = call.json().await?;
    let created = engine.exec_create(container, config).await?;
    // By hand, since the model writes it in lower case. docker's client reads both, the SDKs do not.
    json_with(StatusCode::CREATED, &json!({ "Id": created.id }))
}
