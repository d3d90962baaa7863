//! `docker rmi`

use runtime_image::store::{Remove, Removed};
use serde_json::{Value, json};

use super::blocking::blocking;
use super::tell;
use crate::Api;
use crate::call::{Answer, Call, json};

pub async fn remove(call: Call, name: &str) -> Answer {
    let (api, name) = (call.api.clone(), name.to_owned());
    let how = Remove { force: call.query.flag("force") };
    let removed = blocking(move || {
        let id = api.images.find(&name)?.id.to_string();
        let is_running = |container: &str| api.engine.is_running(container);
        api.images.remove(&name, how, &is_running).map(|removed| (id, removed))
    });
    let (id, removed) = removed.await?;
    tell_all(&call.api, &id, &removed);
    json(&shown(&removed))
}

/// Tells everybody what is gone.
pub fn tell_all(api: &Api, id: &str, removed: &[Removed]) {
    for line in removed {
        match line {
            Removed::Untagged(name) => tell(api, "untag", id, name),
            Removed::Deleted(deleted) if deleted == id => tell(api, "delete", id, id),
            Removed::Deleted(_) => {}
        }
    }
}

/// The lines of the answer.
pub fn shown(removed: &[Removed]) -> Vec<Value> {
    let line = |removed: &Removed| match removed {
        Removed::Untagged(name) => json!({"Untagged": name}),
        Removed::Deleted(id) => json!({"Deleted": id}),
    };
    removed.iter().map(line).collect()
}
