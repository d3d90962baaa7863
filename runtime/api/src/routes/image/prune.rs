//! `docker image prune`: images without a name, or with `dangling=false` all that no container is made of

use serde_json::json;

use super::blocking::blocking;
use super::list::Wanted;
use super::remove::shown;
use crate::call::{Answer, Call, json};

pub async fn prune(call: Call) -> Answer {
    let filters = call.query.filters()?;
    filters.allow(&["dangling", "label", "label!", "until"])?;
    let is_all = filters.flag("dangling")? == Some(false);
    let (store, engine) = (call.api.images.clone(), call.api.engine.clone());
    let pruned = blocking(move || {
        let images = store.list()?;
        let wanted = Wanted::new(&filters, &images)?.without_dangling();
        let is_wanted = |image: &runtime_image::store::StoredImage| {
            (is_all || image.tags.is_empty())
                && wanted.has(image)
                && image.holders.is_empty()
                && engine.containers_of_image(image.id.as_ref()) == 0
        };
        store.prune(&is_wanted).map_err(crate::failure::Failure::from)
    });
    let pruned = pruned.await?;
    json(&json!({"ImagesDeleted": shown(&pruned.removed), "SpaceReclaimed": pruned.reclaimed}))
}
