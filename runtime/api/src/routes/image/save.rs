//! `docker save`

use http::StatusCode;

use super::blocking::blocking;
use crate::body;
use crate::call::{Answer, Call, typed};
use crate::failure::Failure;

/// One image.
pub async fn save(call: Call, name: &str) -> Answer {
    write(&call, vec![name.to_owned()]).await
}

/// Those of the parameter `names`.
pub async fn save_many(call: Call) -> Answer {
    let names: Vec<String> = call.query.all("names").map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Failure::bad_request("no images to save"));
    }
    write(&call, names).await
}

async fn write(call: &Call, names: Vec<String>) -> Answer {
    let store = call.api.images.clone();
    let export = blocking(move || store.export(&names)).await?;
    let (sender, body) = body::channel();
    tokio::task::spawn_blocking(move || {
        let written = export.write(std::io::BufWriter::with_capacity(64 << 10, body::Writer(sender.clone())));
        if let Err(error) = written {
            // Breaks the connection off, so that nobody takes half of an archive for a whole one.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(typed(StatusCode::OK, "application/x-tar", body))
}
