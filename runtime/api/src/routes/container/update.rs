//! `docker update`

use coffer_engine::models::ContainerUpdateBody;

use crate::call::{Answer, Call, json};

pub async fn update(call: Call, id: &str) -> Answer {
    let engine = call.api.engine.clone();
    let body: ContainerUpdateBody = call.json().await?;
    json(&engine.container_update(id, body).await?)
}
