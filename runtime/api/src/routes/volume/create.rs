//! `docker volume create`

use coffer_engine::models::VolumeCreateRequest;
use http::StatusCode;

use crate::call::{Answer, Call, json_with};

pub async fn create(call: Call) -> Answer {
    let engine = call.api.engine.clone();
    let request: VolumeCreateRequest = call.json().await?;
    json_with(StatusCode::CREATED, &engine.volume_create(request).await?)
}
