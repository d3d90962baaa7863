//! `docker stats`

use std::time::Duration;

use coffer_engine::models::ContainerStatsResponse;
use http::StatusCode;

use crate::Api;
use crate::body;
use crate::call::{Answer, Call, json, typed};
use crate::failure::Failure;

/// The time between two measurements.
const PERIOD: Duration = Duration::from_secs(1);

pub async fn stats(call: Call, id: &str) -> Answer {
    let first = call.api.engine.container_stats(id).await?;
    // Absent means yes, unlike with other parameters.
    let streams = call.query.all("stream").next().is_none() || call.query.flag("stream");
    if !streams {
        if call.query.flag("one-shot") {
            return json(&first);
        }
        // What a CPU does is told by two measurements.
        tokio::time::sleep(PERIOD).await;
        return json(&after(&call.api, id, &first).await?);
    }
    let (sender, body) = body::channel();
    let (api, id) = (call.api.clone(), id.to_owned());
    tokio::spawn(async move {
        let mut last = first;
        while let Ok(mut line) = serde_json::to_vec(&last) {
            line.push(b'\n');
            if sender.send(Ok(line.into())).await.is_err() {
                return;
            }
            tokio::time::sleep(PERIOD).await;
            // One that was removed has no more of them.
            let Ok(next) = after(&api, &id, &last).await else { return };
            last = next;
        }
    });
    Ok(typed(StatusCode::OK, "application/json", body))
}

/// A measurement with the one before it.
async fn after(
    api: &Api,
    id: &str,
    before: &ContainerStatsResponse,
) -> Result<ContainerStatsResponse, Failure> {
    let mut stats = api.engine.container_stats(id).await?;
    stats.preread.clone_from(&before.read);
    stats.precpu_stats.clone_from(&before.cpu_stats);
    Ok(stats)
}
