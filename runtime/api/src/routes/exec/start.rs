//! The second half of `docker exec`

use coffer_engine::Error;
use coffer_engine::models::ExecStartConfig;
use http::StatusCode;

use crate::body;
use crate::call::{Answer, Call, empty};
use crate::hijack;
use crate::routes::container::TYPED;

pub async fn start(call: Call, id: &str) -> Answer {
    let Call { api, version, body, upgrade, .. } = call;
    let config: ExecStartConfig = body::json(body).await?;
    let (is_terminal, is_detached) = (config.tty == Some(true), config.detach == Some(true));
    match api.engine.exec_start(id, config).await {
        Ok(Some(attachment)) => hijack::answer(attachment, upgrade, None, version >= TYPED),
        Ok(None) => empty(StatusCode::OK),
        // A program that cannot be started is told of in its streams; the client then asks for its exit code.
        Err(error @ Error::Start { .. }) if !is_detached => {
            let text = format!("{error}\r\n");
            let bytes = if is_terminal { text.into_bytes() } else { frame(text.as_bytes()) };
            hijack::last_words(bytes, upgrade)
        }
        Err(error) => Err(error.into()),
    }
}

/// One of docker's frames, for standard output.
fn frame(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or_default();
    [&[1, 0, 0, 0], length.to_be_bytes().as_slice(), text].concat()
}
