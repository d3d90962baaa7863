//! `docker system df`, in the form that clients before API 1.52 read

use coffer_engine::container::ListOptions;
use serde_json::{Value, json};

use crate::call::{Answer, Call, json};
use crate::failure::Failure;
use crate::routes::image::summaries;

pub async fn disk_usage(call: Call) -> Answer {
    let wanted: Vec<&str> = call.query.all("type").collect();
    let wants = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let mut usage = json!({"LayersSize": 0, "Images": [], "Containers": [], "Volumes": [], "BuildCache": []});
    if wants("image") {
        usage["Images"] = json!(summaries(&call.api, true).await?);
        usage["LayersSize"] = json!(call.api.images.layers_size());
    }
    if wants("container") {
        let options = ListOptions { all: true, size: true, ..ListOptions::default() };
        usage["Containers"] = encode(&call.api.engine.container_list(options).await?)?;
    }
    if wants("volume") {
        let engine = encode(&call.api.engine.disk_usage().await?)?;
        let items = engine["VolumeUsage"]["Items"].clone();
        usage["Volumes"] = if items.is_null() { json!([]) } else { items };
    }
    json(&usage)
}

fn encode(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::internal(error.to_string()))
}
