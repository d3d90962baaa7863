//! `docker login`: tries the credentials at the registry, keeps nothing

use runtime_registry::Credentials;
use serde_json::json;

use crate::call::{Answer, Call, json};
use crate::failure::Failure;

pub async fn auth(call: Call) -> Answer {
    let registries = call.api.registries.clone();
    let credentials: Credentials = call.json().await?;
    let registry = credentials.registry();
    match registries.log_in(&registry, &credentials).await {
        Ok(()) => json(&json!({"Status": "Login Succeeded", "IdentityToken": ""})),
        Err(error) => {
            let status = if error.is_unauthorized() {
                http::StatusCode::UNAUTHORIZED
            } else {
                http::StatusCode::INTERNAL_SERVER_ERROR
            };
            Err(Failure { status, message: error.to_string() })
        }
    }
}
