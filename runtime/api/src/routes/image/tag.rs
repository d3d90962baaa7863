//! `docker tag`

use http::StatusCode;
use runtime_image::Reference;

use super::blocking::blocking;
use super::tell;
use crate::call::{Answer, Call, empty};

pub async fn tag(call: Call, name: &str) -> Answer {
    let repository = Reference::parse(call.query.get("repo").unwrap_or_default())?;
    let target = match call.query.get("tag") {
        Some(tag) => repository.with_tag(tag)?,
        None => repository,
    };
    let (store, name) = (call.api.images.clone(), name.to_owned());
    let named = target.clone().or_latest();
    let id = blocking(move || store.tag(&name, &target)).await?;
    tell(&call.api, "tag", &id, &named.familiar());
    empty(StatusCode::CREATED)
}
