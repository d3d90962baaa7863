//! `docker pull`

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use runtime_image::Reference;
use runtime_registry::{Credentials, PullEvent};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::tell;
use crate::call::{Answer, Call};
use crate::failure::Failure;
use crate::progress;

/// Base 64 for URLs; clients write it with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub async fn create(call: Call) -> Answer {
    let Some(image) = call.query.get("fromImage") else {
        return Err(match call.query.get("fromSrc") {
            Some(_) => Failure::unsupported("docker import"),
            None => Failure::bad_request("fromImage is required"),
        });
    };
    let reference = reference(image, call.query.get("tag"))?;
    check_platform(call.query.get("platform"))?;
    let credentials = credentials(&call.headers)?;
    let (progress, answer) = progress::stream();
    let api = call.api.clone();
    tokio::spawn(async move {
        let (sender, mut events) = mpsc::channel(64);
        let pull = api.registries.pull(&api.images, &reference, credentials.as_ref(), sender);
        tokio::pin!(pull);
        let pulled = loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => {
                    if !progress.send(&shown(&event)).await {
                        // The client has gone: docker stops pulling, too.
                        return;
                    }
                }
                pulled = &mut pull => break pulled,
            }
        };
        while let Ok(event) = events.try_recv() {
            progress.send(&shown(&event)).await;
        }
        match pulled {
            Ok(id) => tell(&api, "pull", &id, &reference.familiar()),
            Err(error) => progress.fail(&error.to_string()).await,
        }
    });
    answer
}

/// The parameters `fromImage` and `tag`, which may be a digest.
fn reference(image: &str, tag: Option<&str>) -> Result<Reference, Failure> {
    let image = Reference::parse(image)?;
    Ok(match tag {
        None => image,
        Some(tag) => match runtime_image::reference::parse_digest(tag) {
            Some(digest) => image.with_digest(digest),
            None => image.with_tag(tag)?,
        },
    }
    .or_latest())
}

fn check_platform(platform: Option<&str>) -> Result<(), Failure> {
    match platform {
        None | Some("linux/amd64" | "linux/amd64/v1" | "linux/x86_64" | "amd64") => Ok(()),
        Some(other) => Err(Failure::bad_request(format!(
            "platform {other} is not supported: this machine runs linux/amd64"
        ))),
    }
}

fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Failure> {
    let Some(value) = headers.get("x-registry-auth") else { return Ok(None) };
    let invalid = || Failure::bad_request("invalid X-Registry-Auth header");
    if value.is_empty() {
        return Ok(None);
    }
    let json = BASE64.decode(value.as_bytes()).map_err(|_| invalid())?;
    let credentials: Credentials = serde_json::from_slice(&json).map_err(|_| invalid())?;
    Ok(Some(credentials).filter(|credentials| !credentials.is_empty()))
}

fn shown(event: &PullEvent) -> Value {
    match event {
        PullEvent::Line(text) => json!({"status": text}),
        PullEvent::Started { tag, repository } => {
            json!({"status": format!("Pulling from {repository}"), "id": tag})
        }
        PullEvent::Layer { id, status } => json!({"status": status, "progressDetail": {}, "id": id}),
        PullEvent::Progress { id, status, done, total } => {
            json!({"status": status, "id": id, "progressDetail": {"current": done, "total": total}})
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Result<Option<Credentials>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn the_header_of_nobody_is_nobody() {
        assert_eq!(read("e30=").unwrap(), None);
        assert_eq!(read("").unwrap(), None);
        let header = BASE64.encode(br#"{"username":"a","password":"b","serveraddress":"c"}"#);
        assert_eq!(read(header.trim_end_matches('=')).unwrap().unwrap().registry(), "c");
    }

    proptest! {
        #[test]
        fn any_header_is_judged(value in "[ -~]{0,40}") {
            let _ = read(&value);
        }
    }
}
