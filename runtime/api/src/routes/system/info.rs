//! `docker info`: the engine's part, and what the API knows of the machine

use serde_json::{Value, json};

use crate::call::{Answer, Call, json};
use crate::failure::Failure;
use crate::routes::system::VERSION;

pub async fn info(call: Call) -> Answer {
    let info = call.api.engine.info().await?;
    let mut info = serde_json::to_value(info).map_err(|error| Failure::internal(error.to_string()))?;
    let uname = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    let total = memory.totalram.saturating_mul(u64::from(memory.mem_unit));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let insecure: serde_json::Map<String, Value> = call
        .api
        .registries
        .names()
        .map(|(name, is_http)| {
            (
                name.to_owned(),
                json!({"Name": name, "Mirrors": [], "Secure": !is_http, "Official": name == "docker.io"}),
            )
        })
        .collect();
    let ours = json!({
        "Name": uname.nodename().to_string_lossy(),
        "ServerVersion": VERSION,
        "Images": call.api.images.count(),
        "Driver": "overlay2",
        "OperatingSystem": concat!("Coffer ", env!("CARGO_PKG_VERSION")),
        "OSType": "linux",
        "OSVersion": VERSION,
        "Architecture": "x86_64",
        "KernelVersion": uname.release().to_string_lossy(),
        "NCPU": processors,
        "MemTotal": total,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"IndexConfigs": insecure, "InsecureRegistryCIDRs": [], "Mirrors": []},
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": null,
            "Log": ["json-file"]},
        "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": false, "NodeID": "", "NodeAddr": "",
            "Error": "", "RemoteManagers": null},
        // By the only name that `--runtime` takes.
        "Runtimes": {"runc": {"path": "coffer"}},
        "InitBinary": "coffer",
        "SecurityOptions": [],
        "Labels": [],
        "Warnings": ["Images, containers and volumes are kept in memory: a reboot loses them"],
        "ExperimentalBuild": false,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
    });
    // What the engine says about itself stands.
    if let (Some(info), Value::Object(ours)) = (info.as_object_mut(), ours) {
        for (key, value) in ours {
            let is_unknown = info.get(&key).is_none_or(Value::is_null);
            if is_unknown {
                info.insert(key, value);
            }
        }
    }
    json(&info)
}
