//! A machine that the simulated TDX module (`tests/tdsim`) is to run on: what its program says of it in a line of JSON, so that who starts
//! machines need not know how one of these is made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::accelerator::Accelerator;
use crate::{Boot, Machine};

/// All of the machine that its starter cannot choose, and what checks its quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// The module, which QEMU starts.
    pub module: PathBuf,
    /// The trust domain, which the module reads.
    pub pack: PathBuf,
    /// CPUs of the domain and of the machine.
    pub cpus: u32,
    /// Memory of the machine in MiB, more than the domain has.
    pub machine_mib: u32,
    /// Further arguments for QEMU.
    pub arguments: Vec<String>,
    /// What `coffer verify --trust-root` takes. Nobody's hardware is behind it.
    pub trust_root: PathBuf,
    /// What `coffer verify --collateral` takes.
    pub collateral: PathBuf,
}

impl Simulated {
    /// The machine, to which disks, network and ports may be added.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let boot = Boot::Direct {
            kernel: self.module.clone(),
            initramfs: Some(self.pack.clone()),
            command_line: String::new(),
        };
        let mut machine = Machine::new(boot);
        machine.cpus = self.cpus;
        // The module needs a processor with SVM, which only the emulated one has for certain.
        machine.accelerator = Accelerator::Tcg;
        machine.memory_mib = self.machine_mib;
        machine.extra = self.arguments.iter().map(Into::into).collect();
        machine
    }
}
