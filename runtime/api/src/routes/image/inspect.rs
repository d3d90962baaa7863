//! `docker image inspect`

use runtime_image::Reference;
use serde_json::{Value, json};

use super::blocking::blocking;
use crate::call::{Answer, Call, json};

pub async fn inspect(call: Call, name: &str) -> Answer {
    let (store, name) = (call.api.images.clone(), name.to_owned());
    let image = blocking(move || store.find(&name)).await?;
    let config = &image.json;
    let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
    let layers: Vec<String> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let mut shown = json!({
        "Id": image.id.to_string(),
        "RepoTags": image.tags.iter().map(Reference::familiar).collect::<Vec<_>>(),
        "RepoDigests": image.digests.iter().map(Reference::familiar).collect::<Vec<_>>(),
        "Parent": "",
        "Comment": last_comment(config),
        "Created": text("created"),
        "DockerVersion": text("docker_version"),
        "Author": text("author"),
        "Config": config["config"],
        "Architecture": text("architecture"),
        "Os": text("os"),
        "Size": image.size(),
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": time_of(image.tagged)},
    });
    if let Some(variant) = config["variant"].as_str() {
        shown["Variant"] = json!(variant);
    }
    json(&shown)
}

fn last_comment(config: &Value) -> String {
    let last = config["history"].as_array().and_then(|history| history.last());
    last.and_then(|entry| entry["comment"].as_str()).unwrap_or_default().to_owned()
}

fn time_of(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
}
