//! `docker attach`, and how `docker run` gets a container's streams

use coffer_engine::container::AttachOptions;

use crate::call::{Answer, Call};
use crate::hijack;
use crate::routes::container::logs::TYPED;

pub async fn attach(call: Call, id: &str) -> Answer {
    let options = AttachOptions {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        stream: call.query.flag("stream"),
        logs: call.query.flag("logs"),
        detach_keys: call.query.text("detachKeys"),
    };
    let attachment = call.api.engine.container_attach(id, options).await?;
    hijack::answer(attachment, call.upgrade, Some(call.body), call.version >= TYPED)
}
