//! `docker cp`

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coffer_engine::container::{PathStat, PutOptions};
use http::{HeaderValue, Response, StatusCode};

use crate::body::{self, Body};
use crate::call::{Answer, Call, empty, typed};
use crate::failure::Failure;

/// Tells what is at a path.
pub async fn archive_stat(call: Call, id: &str) -> Answer {
    let stat = call.api.engine.archive_stat(id, path(&call)?).await?;
    let mut response = empty(StatusCode::OK)?;
    tell(&mut response, &stat)?;
    Ok(response)
}

/// Gives it as a tar.
pub async fn archive_get(call: Call, id: &str) -> Answer {
    let (stat, tar) = call.api.engine.archive_get(id, path(&call)?).await?;
    let mut response = typed(StatusCode::OK, "application/x-tar", body::reader(tar));
    tell(&mut response, &stat)?;
    Ok(response)
}

/// Unpacks a tar there.
pub async fn archive_put(call: Call, id: &str) -> Answer {
    let path = path(&call)?.to_owned();
    let options = PutOptions {
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.flag("copyUIDGID"),
    };
    call.api.engine.archive_put(id, &path, options, body::async_reader(call.body)).await?;
    empty(StatusCode::OK)
}

fn path(call: &Call) -> Result<&str, Failure> {
    call.query.get("path").ok_or_else(|| Failure::bad_request("bad parameter: path cannot be empty"))
}

fn tell(response: &mut Response<Body>, stat: &PathStat) -> Result<(), Failure> {
    let json = serde_json::to_vec(stat).map_err(|error| Failure::internal(error.to_string()))?;
    let value = HeaderValue::from_str(&BASE64_STANDARD.encode(json))
        .map_err(|_| Failure::internal("the status of the path does not fit into a header"))?;
    response.headers_mut().insert("x-docker-container-path-stat", value);
    Ok(())
}
