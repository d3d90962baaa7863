//! `docker load`

use serde_json::json;

use super::tell;
use crate::body;
use crate::call::{Answer, Call};
use crate::progress;

/// How often a layer's progress is told, in parts of the layer.
const STEPS: u64 = 50;

pub async fn load(call: Call) -> Answer {
    let is_quiet = call.query.flag("quiet");
    let (progress, answer) = progress::stream();
    let archive = body::blocking_reader(call.body);
    let api = call.api.clone();
    tokio::task::spawn_blocking(move || {
        let mut last = (String::new(), u64::MAX);
        let loaded = api.images.load(archive, &mut |event| {
            let step = event.done.saturating_mul(STEPS).checked_div(event.total).unwrap_or_default();
            if is_quiet || (last.0 == event.layer && last.1 == step) {
                return !progress.has_nobody();
            }
            last = (event.layer.to_owned(), step);
            let id = event.layer.strip_prefix("sha256:").and_then(|hex| hex.get(..12)).unwrap_or_default();
            progress.blocking_send(&json!({"status": "Loading layer", "id": id,
                "progressDetail": {"current": event.done, "total": event.total}}))
        });
        match loaded {
            Ok(loaded) => {
                for image in loaded {
                    if image.names.is_empty() {
                        let line = format!("Loaded image ID: {}\n", image.id);
                        progress.blocking_send(&json!({"stream": line}));
                    }
                    for name in &image.names {
                        let line = format!("Loaded image: {}\n", name.familiar());
                        progress.blocking_send(&json!({"stream": line}));
                    }
                    tell(&api, "load", &image.id, &image.id);
                }
            }
            Err(error) => {
                progress.blocking_send(&progress::failure(&error.to_string()));
            }
        }
    });
    answer
}
