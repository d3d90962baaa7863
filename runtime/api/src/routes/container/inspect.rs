//! `docker inspect`

use coffer_engine::models::ContainerInspectResponse;
use serde_json::{Value, json as value};

use crate::call::{Answer, Call, json};
use crate::failure::Failure;

pub async fn inspect(call: Call, id: &str) -> Answer {
    let container = call.api.engine.container_inspect(id, call.query.flag("size")).await?;
    json(&with_old_keys(&container)?)
}

/// Clients of before API 1.21 read of one network only, `bridge`; docker went on to write its keys until 1.52.
fn with_old_keys(container: &ContainerInspectResponse) -> Result<Value, Failure> {
    let mut container =
        serde_json::to_value(container).map_err(|error| Failure::internal(error.to_string()))?;
    let settings = &mut container["NetworkSettings"];
    for (key, default) in [
        ("EndpointID", value!("")),
        ("Gateway", value!("")),
        ("GlobalIPv6Address", value!("")),
        ("GlobalIPv6PrefixLen", value!(0)),
        ("IPAddress", value!("")),
        ("IPPrefixLen", value!(0)),
        ("IPv6Gateway", value!("")),
        ("MacAddress", value!("")),
    ] {
        let of_bridge = settings["Networks"]["bridge"].get(key).filter(|value| !value.is_null()).cloned();
        settings[key] = of_bridge.unwrap_or(default);
    }
    Ok(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_network_stands_at_the_top_too() {
        let old = |network: &str| {
            let text = format!(
                r#"{{"NetworkSettings":{{"Networks":{{"{network}":{{"IPAddress":"172.17.0.2","IPPrefixLen":16}}}}}}}}"#
            );
            let container = serde_json::from_str(&text).unwrap();
            with_old_keys(&container).unwrap_or_default()["NetworkSettings"].clone()
        };
        let settings = old("bridge");
        assert_eq!(settings["IPAddress"], "172.17.0.2");
        assert_eq!(settings["IPPrefixLen"], 16);
        assert_eq!(settings["GlobalIPv6Address"], "");
        assert_eq!(old("made")["IPAddress"], "");
    }
}
