//! `docker volume prune`

use crate::call::{Answer, Call, Version, json};

/// Since this version volumes with names are spared unless the client asks for all; before, all went.
const SPARING: Version = Version { major: 1, minor: 42 };

pub async fn prune(call: Call) -> Answer {
    let filters = call.query.filters()?;
    let filters = if call.version < SPARING { filters.with("all", "true") } else { filters };
    json(&call.api.engine.volume_prune(&filters).await?)
}
