//! `docker rmi` and `docker image prune`: names go first, an image goes with its last name, layers go with their last image.
//!
//! The rules, and the words of refusals, are moby's.

use std::collections::HashMap;

use super::find::{is_id, resolve, short};
use super::state::State;
use super::{Store, StoreError};
use crate::Reference;

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remove {
    /// Though it has several names, or a stopped container stands on it.
    pub force: bool,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name, as short as a user may write it.
    Untagged(String),
    /// An image's id, or the chain id of a layer.
    Deleted(String),
}

/// What pruning has done.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    pub removed: Vec<Removed>,
    /// The data of the files that are gone, in bytes.
    pub reclaimed: u64,
}

impl Store {
    /// Removes a name, and the image if it was the last one. `is_running` says whether a holder is a running container.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`], or a conflict.
    pub fn remove(
        &self,
        name: &str,
        how: Remove,
        is_running: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Removed>, StoreError> {
        let mut removed = self.change(|state| {
            let id = resolve(state, name)?;
            let mut removed = Vec::new();
            if is_id(&id, name) {
                check_names(state, &id, how)?;
            } else {
                untag(state, &id, name, how, &mut removed)?;
                if state.names_of(&id).next().is_some() {
                    return Ok((state.layers.clone(), removed));
                }
            }
            delete(state, &id, how, is_running, &mut removed)?;
            Ok((state.layers.clone(), removed))
        })?;
        self.tell_layers(removed.0, &mut removed.1);
        Ok(removed.1)
    }

    /// Removes every image that nobody holds and that `is_wanted` wants to go.
    ///
    /// # Errors
    ///
    /// When the index cannot be written.
    pub fn prune(&self, is_wanted: &dyn Fn(&super::StoredImage) -> bool) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for image in self.list()? {
            if !is_wanted(&image) {
                continue;
            }
            let id = image.id.to_string();
            let result = self.change(|state| {
                // Someone may have come to hold it since.
                let mut removed = Vec::new();
                if state.images.contains_key(&id) && !state.holds.values().any(|hold| hold.image == id) {
                    delete(state, &id, Remove { force: true }, &|_| false, &mut removed)?;
                }
                Ok((state.layers.clone(), removed))
            });
            let (before, mut removed) = result?;
            pruned.reclaimed = pruned.reclaimed.saturating_add(self.tell_layers(before, &mut removed));
            pruned.removed.append(&mut removed);
        }
        Ok(pruned)
    }

    /// Tells the layers that are gone since `before`; returns the size of their data.
    fn tell_layers(
        &self,
        before: std::collections::BTreeMap<String, super::state::LayerRecord>,
        removed: &mut Vec<Removed>,
    ) -> u64 {
        let memory = self.lock();
        let gone = before.into_iter().filter(|(chain, _)| !memory.state.layers.contains_key(chain));
        gone.fold(0, |sum: u64, (chain, layer)| {
            removed.push(Removed::Deleted(chain));
            sum.saturating_add(layer.content_length)
        })
    }
}

/// By its id, an image goes with all of its names, but not if these are of several repositories.
fn check_names(state: &State, id: &str, how: Remove) -> Result<(), StoreError> {
    let mut repositories = HashMap::<String, usize>::new();
    for name in state.names_of(id) {
        let reference = Reference::parse(name)?;
        *repositories.entry(reference.repository().to_string()).or_default() +=
            usize::from(reference.tag().is_some());
    }
    let is_single = repositories.len() <= 1 && repositories.values().all(|&tags| tags <= 1);
    if is_single || how.force {
        return Ok(());
    }
    Err(conflict(id, false, "image is referenced in multiple repositories".to_owned()))
}

/// Removes a name, and with a repository's last tag its digests.
fn untag(
    state: &mut State,
    id: &str,
    name: &str,
    how: Remove,
    removed: &mut Vec<Removed>,
) -> Result<(), StoreError> {
    let mut reference = Reference::parse(name)?.or_latest();
    if let (Some(digest), false) = (reference.digest(), state.names.contains_key(&reference.to_string())) {
        reference = reference.with_digest(digest.clone());
    }
    let names: Vec<Reference> = state.names_of(id).map(Reference::parse).collect::<Result<_, _>>()?;
    let is_tag_of = |other: &Reference| other.tag().is_some() && other.repository() == reference.repository();
    let is_last = names.iter().all(|other| *other == reference || other.digest().is_some());
    let holder = state.holds.iter().find(|(_, hold)| hold.image == id).map(|(holder, _)| holder);
    if let (true, false, Some(holder)) = (is_last, how.force, holder) {
        return Err(StoreError::NameInUse {
            name: name.to_owned(),
            container: short(holder).to_owned(),
            image: short(id).to_owned(),
        });
    }

    let mut go = vec![reference.clone()];
    if reference.tag().is_some() && !names.iter().any(|other| is_tag_of(other) && *other != reference) {
        let is_digest =
            |other: &&Reference| other.digest().is_some() && other.repository() == reference.repository();
        go.extend(names.iter().filter(is_digest).cloned());
    }
    for reference in go {
        state.names.remove(&reference.to_string());
        removed.push(Removed::Untagged(reference.familiar()));
    }
    Ok(())
}

/// Removes an image with all that is left of its names.
fn delete(
    state: &mut State,
    id: &str,
    how: Remove,
    is_running: &dyn Fn(&str) -> bool,
    removed: &mut Vec<Removed>,
) -> Result<(), StoreError> {
    let holders = || state.holds.iter().filter(|(_, hold)| hold.image == id).map(|(holder, _)| holder);
    if let Some(holder) = holders().find(|holder| is_running(holder)) {
        let reason = format!("image is being used by running container {}", short(holder));
        return Err(conflict(id, true, reason));
    }
    if let (false, Some(holder)) = (how.force, holders().next()) {
        let reason = format!("image is being used by stopped container {}", short(holder));
        return Err(conflict(id, false, reason));
    }

    let names: Vec<String> = state.names_of(id).map(str::to_owned).collect();
    for name in names {
        state.names.remove(&name);
        removed.push(Removed::Untagged(Reference::parse(&name)?.familiar()));
    }
    state.images.remove(id);
    removed.push(Removed::Deleted(id.to_owned()));
    Ok(())
}

fn conflict(id: &str, is_hard: bool, reason: String) -> StoreError {
    let force = if is_hard { "cannot be forced" } else { "must be forced" };
    StoreError::Conflict { image: short(id).to_owned(), force, reason }
}
