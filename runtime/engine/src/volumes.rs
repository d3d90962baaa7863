//! Named volumes: folders that outlive containers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_image::remove_tree;
use serde::{Deserialize, Serialize};

use crate::container::entry::MountKind;
use crate::engine::{blocking, random_id};
use crate::events::event;
use crate::models::{
    EventMessageTypeEnum, Volume, VolumeCreateRequest, VolumeListResponse, VolumePruneResponse,
    VolumeScopeEnum, VolumeUsageData,
};
use crate::shim::{read_json, write_json};
use crate::time::{Time, now};
use crate::{Engine, Error, Filters};

const RECORD: &str = "volume.json";
const DATA: &str = "_data";
/// How the folders of volumes begin that are just being removed. No volume's name does.
const REMOVED: &str = ".removed-";
/// docker's mark of a volume that nobody named.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    created: Time,
    labels: HashMap<String, String>,
    options: HashMap<String, String>,
}

/// All volumes.
#[derive(Debug)]
pub(crate) struct Volumes {
    folder: PathBuf,
    table: Mutex<BTreeMap<String, VolumeRecord>>,
}

impl Volumes {
    /// Reads what is there.
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder).map_err(Error::system("create the folder of the volumes"))?;
        let entries = std::fs::read_dir(&folder).map_err(Error::system("list the volumes"))?;
        let mut table = BTreeMap::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(REMOVED) {
                // An engine was killed while it did that.
                if let Err(error) = remove_tree(&entry.path()) {
                    eprintln!("engine: `{name}` of the volumes stays: {error}");
                }
                continue;
            }
            match read_json(&entry.path().join(RECORD)) {
                Ok(record) => drop(table.insert(name, record)),
                Err(error) => eprintln!("engine: volume `{name}` is left out: {error}"),
            }
        }
        Ok(Self { folder, table: Mutex::new(table) })
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, VolumeRecord>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its files are.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.join(name).join(DATA)
    }

    /// Makes a volume that a container wants, if it is not there: whether it was made.
    pub fn ensure(&self, name: &str, is_anonymous: bool) -> Result<bool, Error> {
        let labels =
            if is_anonymous { [(ANONYMOUS.to_owned(), String::new())].into() } else { HashMap::new() };
        self.make(name, labels, HashMap::new())
    }

    /// Whether it was made.
    fn make(
        &self,
        name: &str,
        labels: HashMap<String, String>,
        options: HashMap<String, String>,
    ) -> Result<bool, Error> {
        check_name(name)?;
        let mut table = self.table();
        if table.contains_key(name) {
            return Ok(false);
        }
        let record = VolumeRecord { created: now(), labels, options };
        let folder = self.folder.join(name);
        std::fs::create_dir_all(folder.join(DATA))
            .map_err(Error::system(format!("create the volume `{name}`")))?;
        write_json(&folder.join(RECORD), &record)?;
        table.insert(name.to_owned(), record);
        Ok(true)
    }

    /// Removes one.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let removed = self.folder.join(format!("{REMOVED}{}", random_id()?));
        {
            let mut table = self.table();
            if !table.contains_key(name) {
                return Err(Error::NoSuchVolume(name.to_owned()));
            }
            std::fs::rename(self.folder.join(name), &removed)
                .map_err(Error::system(format!("remove the volume `{name}`")))?;
            table.remove(name);
        }
        // Others need not wait for this, and a new volume of the name has none of its files even if it fails.
        remove_tree(&removed).map_err(Error::system(format!("remove the files of the volume `{name}`")))
    }

    fn describe(&self, name: &str) -> Result<Volume, Error> {
        let table = self.table();
        let record = table.get(name).ok_or_else(|| Error::NoSuchVolume(name.to_owned()))?;
        Ok(Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            mountpoint: self.data(name).display().to_string(),
            created_at: Some(record.created.to_string()),
            labels: record.labels.clone(),
            scope: Some(VolumeScopeEnum::LOCAL),
            options: record.options.clone(),
            ..Volume::default()
        })
    }

    fn names(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }
}

/// Checks a name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let is_valid = name.len() >= 2
        && name.len() <= 255
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if is_valid {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
         are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// The bytes of all files of a tree.
pub(crate) fn size_of(folder: &Path) -> i64 {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0_i64;
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        // A folder that is just being removed counts nothing.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                todo.push(entry.path());
            }
            total = total
                .saturating_add(i64::try_from(metadata.blocks().saturating_mul(512)).unwrap_or(i64::MAX));
        }
    }
    total
}

impl Engine {
    /// Makes a volume; one that is there already is given as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for names and options, [`Error::Unsupported`] for drivers.
    pub async fn volume_create(&self, request: VolumeCreateRequest) -> Result<Volume, Error> {
        let driver = request.driver.unwrap_or_default();
        if !matches!(driver.as_str(), "" | "local") {
            return Err(Error::Unsupported(format!("the volume driver `{driver}`")));
        }
        let options = request.driver_opts.unwrap_or_default();
        if let Some(option) = options.keys().next() {
            return Err(Error::Unsupported(format!("the volume option `{option}`")));
        }
        let mut labels = request.labels.unwrap_or_default();
        let name = match request.name.filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => {
                labels.insert(ANONYMOUS.to_owned(), String::new());
                random_id()?
            }
        };
        let engine = self.clone();
        blocking(move || {
            if engine.inner.volumes.make(&name, labels, options)? {
                engine.tell_volume(&name, "create");
            }
            engine.inner.volumes.describe(&name)
        })
        .await
    }

    /// Lists those that match.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn volume_list(&self, filters: &Filters) -> Result<VolumeListResponse, Error> {
        filters.allow(&["dangling", "driver", "label", "label!", "name"])?;
        let dangling = filters.flag("dangling")?;
        let users = self.volume_users();
        let matches = |volume: &Volume| {
            dangling.is_none_or(|wanted| users.contains_key(&volume.name) != wanted)
                && filters.any("driver", |driver| driver == volume.driver)
                && filters.any("name", |name| volume.name.contains(name))
                && filters.match_labels(|key| volume.labels.get(key).map(String::as_str))
        };
        let names = self.inner.volumes.names();
        let volumes = names.iter().filter_map(|name| self.inner.volumes.describe(name).ok()).filter(matches);
        Ok(VolumeListResponse { volumes: Some(volumes.collect()), warnings: Some(Vec::new()) })
    }

    /// Tells about one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVolume`].
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume, Error> {
        self.inner.volumes.describe(name)
    }

    /// Removes one. With `force` one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVolume`], [`Error::VolumeInUse`].
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<(), Error> {
        if let Some(users) = self.volume_users().get(name) {
            return Err(Error::VolumeInUse { name: name.to_owned(), users: users.join(", ") });
        }
        let (engine, name) = (self.clone(), name.to_owned());
        blocking(move || match engine.inner.volumes.remove(&name) {
            Err(Error::NoSuchVolume(_)) if force => Ok(()),
            Ok(()) => {
                engine.tell_volume(&name, "destroy");
                Ok(())
            }
            result => result,
        })
        .await
    }

    /// Removes those that no container has: anonymous ones, and with the filter `all` named ones, too.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn volume_prune(&self, filters: &Filters) -> Result<VolumePruneResponse, Error> {
        filters.allow(&["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or_default();
        let users = self.volume_users();
        let (engine, filters) = (self.clone(), filters.clone());
        blocking(move || {
            let (mut removed, mut reclaimed) = (Vec::new(), 0_i64);
            for name in engine.inner.volumes.names() {
                let Ok(volume) = engine.inner.volumes.describe(&name) else { continue };
                let is_wanted = (all || volume.labels.contains_key(ANONYMOUS))
                    && !users.contains_key(&name)
                    && filters.match_labels(|key| volume.labels.get(key).map(String::as_str));
                if is_wanted {
                    let size = size_of(&engine.inner.volumes.data(&name));
                    engine.inner.volumes.remove(&name)?;
                    engine.tell_volume(&name, "destroy");
                    reclaimed = reclaimed.saturating_add(size);
                    removed.push(name);
                }
            }
            Ok(VolumePruneResponse { volumes_deleted: Some(removed), space_reclaimed: Some(reclaimed) })
        })
        .await
    }

    /// All volumes with their sizes and numbers of users, for `docker system df`.
    pub(crate) fn volume_usage(&self) -> Vec<Volume> {
        let users = self.volume_users();
        let names = self.inner.volumes.names();
        let volumes = names.iter().filter_map(|name| self.inner.volumes.describe(name).ok());
        volumes
            .map(|mut volume| {
                let ref_count = users.get(&volume.name).map_or(0, Vec::len);
                let size = size_of(&self.inner.volumes.data(&volume.name));
                volume.usage_data =
                    Some(VolumeUsageData { size, ref_count: i64::try_from(ref_count).unwrap_or(i64::MAX) });
                volume
            })
            .collect()
    }

    /// The containers that have each volume.
    fn volume_users(&self) -> HashMap<String, Vec<String>> {
        let mut users: HashMap<String, Vec<String>> = HashMap::new();
        for entry in self.all() {
            for mount in &entry.record().mounts {
                if let MountKind::Volume { name, .. } = &mount.kind {
                    users.entry(name.clone()).or_default().push(entry.id.clone());
                }
            }
        }
        users
    }

    pub(crate) fn tell_volume(&self, name: &str, action: &str) {
        let attributes = [("driver".to_owned(), "local".to_owned())].into();
        self.emit(event(EventMessageTypeEnum::VOLUME, action, name, attributes));
    }
}
