//! `docker version`

use serde_json::json;

use crate::call::{Answer, json};
use crate::{NEWEST, OLDEST};

/// Coffer's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn version() -> Answer {
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy();
    let (newest, oldest) = (NEWEST.to_string(), OLDEST.to_string());
    json(&json!({
        "Platform": {"Name": "Coffer"},
        "Components": [{
            "Name": "Engine",
            "Version": VERSION,
            "Details": {"ApiVersion": newest, "MinAPIVersion": oldest, "Os": "linux", "Arch": "amd64",
                "KernelVersion": kernel, "Experimental": "false", "GitCommit": "", "GoVersion": "", "BuildTime": ""},
        }],
        "Version": VERSION,
        "ApiVersion": newest,
        "MinAPIVersion": oldest,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": kernel,
        "BuildTime": "",
    }))
}
