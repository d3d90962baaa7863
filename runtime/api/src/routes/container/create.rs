//! `docker create`, and the first half of `docker run`

use coffer_engine::models::ContainerCreateBody;
use http::StatusCode;

use crate::call::{Answer, Call, json_with};

pub async fn create(call: Call) -> Answer {
    let (engine, name) = (call.api.engine.clone(), call.query.text("name"));
    let body: ContainerCreateBody = call.json().await?;
    let created = engine.container_create(name.as_deref(), body).await?;
    json_with(StatusCode::CREATED, &created)
}
