//! Events of images

use std::collections::HashMap;

use coffer_engine::events::event;
use coffer_engine::models::EventMessageTypeEnum;

use crate::Api;

/// Tells that something happened to the image `id`; `name` is how the user called it.
pub fn tell(api: &Api, action: &str, id: &str, name: &str) {
    let attributes = HashMap::from([("name".to_owned(), name.to_owned())]);
    api.engine.emit(event(EventMessageTypeEnum::IMAGE, action, id, attributes));
}
