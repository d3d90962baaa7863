//! Remove, rename and prune.

use std::sync::Arc;
use std::time::Duration;

use runtime_image::{Snapshot, remove_tree};

use super::entry::{Entry, MountKind, Status};
use super::{RemoveOptions, names};
use crate::engine::blocking;
use crate::models::ContainerPruneResponse;
use crate::time::Time;
use crate::{Engine, Error, Filters};

/// The pause before a removal that failed is tried again; each next one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);

impl Engine {
    /// Removes it.
    ///
    /// # Errors
    ///
    /// [`Error::RemoveRunning`], [`Error::RemovalInProgress`].
    pub async fn container_remove(&self, reference: &str, options: RemoveOptions) -> Result<(), Error> {
        if options.link {
            return Err(Error::Unsupported("a link to a container".to_owned()));
        }
        let entry = self.find(reference)?;
        let status = entry.status();
        if status == Status::Removing {
            return Err(Error::RemovalInProgress(entry.id.clone()));
        }
        if status.is_alive() || status == Status::Restarting {
            if !options.force {
                return Err(Error::RemoveRunning {
                    name: format!("/{}", entry.name()),
                    state: status.name(),
                });
            }
            // What --rm has taken away already is gone, which is what was asked for.
            match self.stop_entry(&entry, Some("KILL"), None, true).await {
                Ok(_) => {}
                Err(_) if entry.moment.borrow().is_removed => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.remove_entry(&entry, options.volumes).await
    }

    /// Removes a container that does not run. One that is gone already is no error.
    pub(crate) async fn remove_entry(&self, entry: &Arc<Entry>, volumes: bool) -> Result<(), Error> {
        let _guard = entry.lifecycle.lock().await;
        if entry.moment.borrow().is_removed {
            return Ok(());
        }
        if entry.status().is_alive() {
            return Err(Error::RemoveRunning {
                name: format!("/{}", entry.name()),
                state: entry.status().name(),
            });
        }
        entry.wake.notify_one();
        entry.change(|record| record.state.status = Status::Removing)?;
        if let Err(error) = self.remove_files(entry).await {
            // What is left is removed by the next try; until then it is dead.
            let _ = entry.change(|record| record.state.status = Status::Dead);
            entry.moment.send_modify(|moment| moment.removal_error = Some(error.to_string()));
            return Err(error);
        }
        let (name, mounts) = {
            let record = entry.record();
            (record.name.clone(), record.mounts.clone())
        };
        {
            let mut table = self.table();
            table.containers.remove(&entry.id);
            table.names.remove(&name);
        }
        self.forget_execs(&entry.id);
        if volumes {
            for mount in mounts {
                if let MountKind::Volume { name, is_anonymous: true, .. } = mount.kind
                    && let Err(error) = self.volume_remove(&name, true).await
                {
                    eprintln!("engine: {error}");
                }
            }
        }
        self.tell(entry, "destroy", &[]);
        entry.moment.send_modify(|moment| moment.is_removed = true);
        Ok(())
    }

    /// Unmounts and removes its folder. Something may still use it for a moment: a process that is just ending, or one of another container
    /// that has not left the machine's mounts yet. So it is tried again.
    async fn remove_files(&self, entry: &Arc<Entry>) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (engine, removed) = (self.clone(), Arc::clone(entry));
            let result = blocking(move || {
                Snapshot::at(&removed.snapshot_folder()).unmount()?;
                match remove_tree(&removed.folder) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::system(format!("remove container {}", removed.id))(error));
                    }
                    _ => {}
                }
                engine.images().release(&removed.id)
            })
            .await;
            if result.is_ok() || pause > LAST_PAUSE {
                return result;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// Gives it another name.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`], [`Error::Invalid`].
    pub async fn container_rename(&self, reference: &str, name: &str) -> Result<(), Error> {
        let entry = self.find(reference)?;
        if name.is_empty() {
            return Err(Error::Invalid("Neither old nor new names may be empty".to_owned()));
        }
        let new = names::check(name)?;
        let old = entry.name();
        if new == old {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        {
            let mut table = self.table();
            if let Some(holder) = table.names.get(&new) {
                return Err(Error::NameInUse { name: new, id: holder.clone() });
            }
            table.names.remove(&old);
            table.names.insert(new.clone(), entry.id.clone());
        }
        entry.change(|record| record.name.clone_from(&new))?;
        self.tell(&entry, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Removes those that do not run.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn container_prune(&self, filters: &Filters) -> Result<ContainerPruneResponse, Error> {
        filters.allow(&["label", "label!", "until"])?;
        let until = filters.values("until").next().map(super::list::until).transpose()?;
        let (mut removed, mut reclaimed) = (Vec::new(), 0_i64);
        for entry in self.all() {
            let (is_wanted, created): (bool, Time) = {
                let record = entry.record();
                let label = |key: &str| {
                    record.config.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str)
                };
                let is_idle = matches!(record.state.status, Status::Created | Status::Exited | Status::Dead);
                (is_idle && filters.match_labels(label), record.created)
            };
            if !is_wanted || until.is_some_and(|until| created > until) {
                continue;
            }
            let size = crate::volumes::size_of(&Snapshot::at(&entry.snapshot_folder()).upper());
            if self.remove_entry(&entry, false).await.is_ok() {
                reclaimed = reclaimed.saturating_add(size);
                removed.push(entry.id.clone());
            }
        }
        Ok(ContainerPruneResponse { containers_deleted: Some(removed), space_reclaimed: Some(reclaimed) })
    }
}
