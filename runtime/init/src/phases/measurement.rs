//! Measurement: the log of what this machine is and runs, begun before anything is decided (docs/runtime-log.md).

use std::path::Path;

use runtime_config::Configuration;
use runtime_config::value::Certificates;
use runtime_measure::{Log, Mode, RuntimeEvent, of_machine};
use sha2::{Digest as _, Sha384};

use crate::error::Error;

/// Where the log is.
const LOG: &str = "/run/coffer/runtime.log";

/// Begins the log.
pub fn begin() -> Result<Log, Error> {
    let machine = of_machine().map_err(Error::system("close the initial pid namespace"))?;
    Ok(Log::create(Path::new(LOG), machine)?)
}

/// Measures the file that the configuration is in; an empty one, if there is none. Gives its digest.
pub fn configuration(log: &mut Log, file: &[u8]) -> Result<[u8; 48], Error> {
    let digest = Sha384::digest(file).into();
    log.append(&RuntimeEvent::Configuration(digest))?;
    Ok(digest)
}

/// Measures who may tell this machine what to do, before anybody can.
pub fn settle(log: &mut Log, configuration: &Configuration) -> Result<(), Error> {
    let (mode, owner) = match configuration.mode {
        runtime_config::Mode::Open => {
            let authorities = configuration.api.client_ca.as_ref().map_or([0; 48], digest);
            (Mode::Open, RuntimeEvent::ClientAuthority(authorities))
        }
        runtime_config::Mode::Sealed => {
            let workload = configuration.workload.as_ref().map_or("", |workload| workload.get_ref());
            (Mode::Sealed, RuntimeEvent::Workload(Sha384::digest(workload).into()))
        }
    };
    log.append(&RuntimeEvent::Mode(mode))?;
    Ok(log.append(&owner)?)
}

fn digest(certificates: &Certificates) -> [u8; 48] {
    certificates
        .der()
        .fold(Sha384::new(), |hash, certificate| hash.chain_update(certificate))
        .finalize()
        .into()
}
