//! [`Networks`]: the records, in memory and in a folder.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_network::{Ipv4Net, ipam, pool};
use serde::{Deserialize, Serialize};

use super::{BUILT_IN, failed};
use crate::Error;
use crate::engine::random_id;
use crate::shim::{read_json, write_json};
use crate::time::{Time, now};

const DEFAULT_BRIDGE: &str = "docker0";

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Time,
    pub(super) driver: String,
    /// Of networks with a bridge.
    pub(super) bridge: Option<runtime_network::Network>,
    pub(super) range: Option<Ipv4Net>,
    pub(super) is_attachable: bool,
    pub(super) labels: HashMap<String, String>,
    pub(super) options: HashMap<String, String>,
}

impl NetworkRecord {
    pub(super) fn is_built_in(&self) -> bool {
        BUILT_IN.iter().any(|(name, _)| *name == self.name)
    }
}

/// All networks.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(super) folder: PathBuf,
    table: Mutex<BTreeMap<String, NetworkRecord>>,
    /// Held while addresses are chosen and links are made.
    pub(super) changes: tokio::sync::Mutex<()>,
}

impl Networks {
    /// Reads what is there, and adds docker's own.
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder).map_err(Error::system("create the folder of the networks"))?;
        let mut table = BTreeMap::new();
        for file in std::fs::read_dir(&folder).map_err(Error::system("list the networks"))?.flatten() {
            match read_json::<NetworkRecord>(&file.path()) {
                Ok(record) => drop(table.insert(record.id.clone(), record)),
                Err(error) => eprintln!("engine: network `{}` is left out: {error}", file.path().display()),
            }
        }
        let networks = Self { folder, table: Mutex::new(table), changes: tokio::sync::Mutex::default() };
        for (name, driver) in BUILT_IN {
            if networks.find(name).is_ok() {
                continue;
            }
            let bridge = (driver == "bridge").then(|| default_bridge(&networks.subnets())).transpose()?;
            networks.add(NetworkRecord {
                id: random_id()?,
                name: name.to_owned(),
                created: now(),
                driver: driver.to_owned(),
                bridge,
                range: None,
                is_attachable: false,
                labels: HashMap::new(),
                options: HashMap::new(),
            })?;
        }
        Ok(networks)
    }

    pub(super) fn table(&self) -> MutexGuard<'_, BTreeMap<String, NetworkRecord>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, record: NetworkRecord) -> Result<(), Error> {
        write_json(&self.folder.join(format!("{}.json", record.id)), &record)?;
        self.table().insert(record.id.clone(), record);
        Ok(())
    }

    /// By name, id or unique start of an id.
    pub(super) fn find(&self, reference: &str) -> Result<NetworkRecord, Error> {
        let table = self.table();
        if let Some(record) = table.values().find(|it| it.name == reference).or_else(|| table.get(reference))
        {
            return Ok(record.clone());
        }
        let mut starting = table.values().filter(|it| !reference.is_empty() && it.id.starts_with(reference));
        match (starting.next(), starting.next()) {
            (Some(record), None) => Ok(record.clone()),
            (Some(_), Some(_)) => Err(Error::Ambiguous(reference.to_owned())),
            (None, _) => Err(Error::NoSuchNetwork(reference.to_owned())),
        }
    }

    pub(super) fn subnets(&self) -> Vec<Ipv4Net> {
        self.table()
            .values()
            .filter_map(|record| record.bridge.as_ref().map(|bridge| bridge.subnet))
            .collect()
    }
}

fn default_bridge(used: &[Ipv4Net]) -> Result<runtime_network::Network, Error> {
    let subnet = pool::next(used).map_err(failed)?;
    let gateway = ipam::gateway(subnet).map_err(failed)?;
    Ok(runtime_network::Network {
        bridge: DEFAULT_BRIDGE.to_owned(),
        subnet,
        gateway,
        is_internal: false,
        mtu: None,
    })
}
