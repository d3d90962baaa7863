//! `docker network disconnect`

use coffer_engine::models::NetworkDisconnectRequest;
use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn disconnect(call: Call, name: &str) -> Answer {
    let engine = call.api.engine.clone();
    let request: NetworkDisconnectRequest = call.json().await?;
    engine.network_disconnect(name, request).await?;
    empty(StatusCode::OK)
}
