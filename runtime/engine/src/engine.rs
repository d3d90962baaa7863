//! [`Engine`]: the public face. Cheap to clone; every clone is the same engine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_image::{Snapshot, remove_tree};
use runtime_measure::Client;

use crate::Error;
use crate::container::entry::{Entry, snapshot_in};
use crate::events::Bus;
use crate::evidence::Attend;
use crate::exec::ExecRecord;
use crate::images::Images;
use crate::network::Networks;
use crate::volumes::Volumes;

/// Where and with what an engine works.
#[derive(Debug)]
pub struct Settings {
    /// The folder of containers, volumes and networks. The paths of sockets in it must not be longer than 108 bytes, so it is short.
    pub folder: PathBuf,
    /// The program that serves as shim and helper, and the arguments before those that the engine adds: `["/init"]`.
    pub helper: Vec<String>,
    pub images: Arc<dyn Images>,
    /// Who measures what starts, before it does; nobody, in development.
    pub measuring: Option<Arc<Client>>,
    /// Who answers containers that ask for evidence; nobody, in development.
    pub attending: Option<Arc<dyn Attend>>,
    /// Whether the machine vouches for what it runs: nobody may have what could change that.
    pub is_sealed: bool,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub settings: Settings,
    pub bus: Bus,
    /// Containers by id.
    pub table: Mutex<Table>,
    pub volumes: Volumes,
    pub networks: Networks,
    /// Processes that joined or will join containers, by id.
    pub execs: Mutex<HashMap<String, Arc<ExecRecord>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub containers: HashMap<String, Arc<Entry>>,
    /// Names, without the slash, and whose they are. A name is taken before its container is in the table.
    pub names: HashMap<String, String>,
}

impl Engine {
    /// Reads what an earlier engine left, reconnects to its running containers and starts those that restart policies want.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used. A container whose state cannot be read is logged and left out.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let containers = settings.folder.join("containers");
        for folder in [&settings.folder, &containers] {
            std::fs::create_dir_all(folder)
                .map_err(Error::system(format!("create `{}`", folder.display())))?;
        }
        crate::cgroup::prepare();
        let volumes = Volumes::open(settings.folder.join("volumes"))?;
        let networks = Networks::open(settings.folder.join("networks"))?;
        let engine = Self {
            inner: Arc::new(Inner {
                settings,
                bus: Bus::default(),
                table: Mutex::default(),
                volumes,
                networks,
                execs: Mutex::default(),
            }),
        };
        engine.recover(&containers).await?;
        Ok(engine)
    }

    /// The image store.
    #[must_use]
    pub fn images(&self) -> &Arc<dyn Images> {
        &self.inner.settings.images
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of a container.
    pub(crate) fn folder_of(&self, id: &str) -> PathBuf {
        self.inner.settings.folder.join("containers").join(id)
    }

    /// Finds a container by id, name, or unique start of an id.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Entry>, Error> {
        let table = self.table();
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let id = table.names.get(name).map_or(reference, String::as_str);
        if let Some(entry) = table.containers.get(id) {
            return Ok(Arc::clone(entry));
        }
        let mut starting =
            table.containers.iter().filter(|(id, _)| !reference.is_empty() && id.starts_with(reference));
        match (starting.next(), starting.next()) {
            (Some((_, entry)), None) => Ok(Arc::clone(entry)),
            (Some(_), Some(_)) => Err(Error::Ambiguous(reference.to_owned())),
            (None, _) => Err(Error::NoSuchContainer(reference.to_owned())),
        }
    }

    /// All containers.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.table().containers.values().cloned().collect()
    }

    async fn recover(&self, folder: &Path) -> Result<(), Error> {
        let entries = std::fs::read_dir(folder).map_err(Error::system("list the containers"))?;
        for folder in entries.flatten().map(|entry| entry.path()) {
            match Entry::load(&folder) {
                Ok(entry) => {
                    let entry = Arc::new(entry);
                    let mut table = self.table();
                    table.names.insert(entry.name(), entry.id.clone());
                    table.containers.insert(entry.id.clone(), entry);
                }
                // What an engine left that was killed while it removed a container.
                Err(_) if !Entry::has_record(&folder) => remove_remains(&folder),
                Err(error) => eprintln!("engine: container in `{}` is left out: {error}", folder.display()),
            }
        }
        self.recover_execs();
        for entry in self.all() {
            self.resume(&entry).await;
        }
        Ok(())
    }
}

fn remove_remains(folder: &Path) {
    let removed = Snapshot::at(&snapshot_in(folder))
        .unmount()
        .map_err(Error::from)
        .and_then(|()| remove_tree(folder).map_err(Error::system(format!("remove `{}`", folder.display()))));
    if let Err(error) = removed {
        eprintln!("engine: {error}");
    }
}

/// Runs what blocks beside the asynchronous tasks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::system("finish a task")(std::io::Error::other(error))),
    }
}

/// 64 hex digits that nothing else is called by.
pub(crate) fn random_id() -> Result<String, Error> {
    use std::io::Read;
    let mut bytes = [0_u8; 32];
    let mut device = std::fs::File::open("/dev/urandom").map_err(Error::system("open `/dev/urandom`"))?;
    device.read_exact(&mut bytes).map_err(Error::system("read `/dev/urandom`"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
