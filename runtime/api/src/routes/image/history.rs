//! `docker history`

use runtime_image::Reference;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::blocking::blocking;
use crate::call::{Answer, Call, json};

pub async fn history(call: Call, name: &str) -> Answer {
    let (store, name) = (call.api.images.clone(), name.to_owned());
    let image = blocking(move || store.find(&name)).await?;
    let mut layers = image.layers.iter();
    let empty = Vec::new();
    let mut entries: Vec<Value> = Vec::new();
    for entry in image.json["history"].as_array().unwrap_or(&empty) {
        let has_layer = entry["empty_layer"].as_bool() != Some(true);
        let size = if has_layer { layers.next().map_or(0, |layer| layer.size) } else { 0 };
        let created = entry["created"].as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        entries.push(json!({
            "Id": "<missing>",
            "Created": created.map_or(0, OffsetDateTime::unix_timestamp),
            "CreatedBy": entry["created_by"].as_str().unwrap_or_default(),
            "Tags": null,
            "Size": size,
            "Comment": entry["comment"].as_str().unwrap_or_default(),
        }));
    }
    // Layers that the history does not tell of.
    for layer in layers {
        entries
            .push(json!({"Id": "<missing>", "Created": 0, "CreatedBy": "", "Tags": null, "Size": layer.size,
            "Comment": ""}));
    }
    if let Some(top) = entries.last_mut() {
        top["Id"] = json!(image.id.to_string());
        top["Tags"] = json!(image.tags.iter().map(Reference::familiar).collect::<Vec<_>>());
    }
    entries.reverse();
    json(&entries)
}
