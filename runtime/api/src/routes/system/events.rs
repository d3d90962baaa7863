//! `docker events`

use bytes::Bytes;
use coffer_engine::events::EventsOptions;
use http::StatusCode;
use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, typed};

pub async fn events(call: Call) -> Answer {
    let options = EventsOptions {
        since: call.query.text("since"),
        until: call.query.text("until"),
        filters: call.query.filters()?,
    };
    let mut events = call.api.engine.events(options).await?;
    let (sender, body) = body::channel();
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sender.closed() => return,
            };
            let Some(event) = event else { return };
            let Ok(event) = serde_json::to_value(event) else { continue };
            if sender.send(Ok(Bytes::from(format!("{}\n", with_old_keys(event))))).await.is_err() {
                return;
            }
        }
    });
    Ok(typed(StatusCode::OK, "application/json", body))
}

/// Clients of before API 1.22 read other keys, and docker still writes them.
fn with_old_keys(mut event: Value) -> Value {
    if matches!(event["Type"].as_str(), Some("container" | "image")) {
        let (action, id) = (event["Action"].clone(), event["Actor"]["ID"].clone());
        let from = event["Actor"]["Attributes"]["image"].clone();
        event["status"] = action;
        event["id"] = id;
        if !from.is_null() {
            event["from"] = from;
        }
    }
    if event["scope"].is_null() {
        event["scope"] = json!("local");
    }
    event
}
