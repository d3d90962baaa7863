//! Events of images

use std::collections::HashMap;

use coffer_engine::models::{EventActor, EventMessage, EventMessageTypeEnum};

use crate::Api;

/// Tells that something happened to the image `id`; `name` is how the user called it.
pub fn tell(api: &Api, action: &str, id: &str, name: &str) {
    let attributes = HashMap::from([("name".to_owned(), name.to_owned())]);
    api.engine.emit(EventMessage {
        typ: Some(EventMessageTypeEnum::IMAGE),
        action: Some(action.to_owned()),
        actor: Some(EventActor { id: Some(id.to_owned()), attributes: Some(attributes) }),
        ..EventMessage::default()
    });
}
