//! `docker network create`

use coffer_engine::models::NetworkCreateRequest;
use http::StatusCode;

use crate::call::{Answer, Call, json_with};

pub async fn create(call: Call) -> Answer {
    let engine = call.api.engine.clone();
    let request: NetworkCreateRequest = call.json().await?;
    json_with(StatusCode::CREATED, &engine.network_create(request).await?)
}
