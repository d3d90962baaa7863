//! `docker network connect`

use coffer_engine::models::NetworkConnectRequest;
use http::StatusCode;

use crate::call::{Answer, Call, empty};

pub async fn connect(call: Call, name: &str) -> Answer {
    let engine = call.api.engine.clone();
    let request: NetworkConnectRequest = call.json().await?;
    engine.network_connect(name, request).await?;
    empty(StatusCode::OK)
}
