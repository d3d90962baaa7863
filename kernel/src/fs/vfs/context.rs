//! Contexts of file systems: mounting step by step (fsopen(2), fspick(2), fsconfig(2), fsmount(2)).

use super::file_system::{self, FileSystem, MountRequest, SuperBlock};
use super::lookup::LookupStart;
use super::mount_tree;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::process::credentials::Capability;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::VmWriter;
use ostd::sync::Mutex;

/// The longest option string, as for mount(2).
const OPTIONS_MAX: usize = 4096;

/// A file system that is being put together, or changed.
#[derive(Debug)]
pub struct FsContext {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    source: Option<Vec<u8>>,
    /// As mount(2) takes them, separated by commas.
    options: Vec<u8>,
    read_only: bool,
}

#[derive(Debug)]
enum Phase {
    /// fsopen(2): takes options, then makes an instance.
    New(&'static dyn FileSystem),
    /// The instance waits for fsmount(2).
    Made(Arc<SuperBlock>),
    /// fspick(2), or after fsmount(2): takes options, then changes the instance.
    Picked(Arc<SuperBlock>),
    /// Making it has failed.
    Failed,
}

impl FsContext {
    /// A context for a new instance of `driver`.
    ///
    /// # Errors
    /// ENODEV for an unknown driver.
    pub fn open(driver: &[u8]) -> Result<Arc<OpenFile>> {
        Ok(Self::in_phase(Phase::New(file_system::find(driver)?), false))
    }

    /// A context that changes `super_block`.
    pub fn pick(super_block: &Arc<SuperBlock>) -> Arc<OpenFile> {
        Self::in_phase(Phase::Picked(super_block.clone()), super_block.is_read_only())
    }

    fn in_phase(phase: Phase, read_only: bool) -> Arc<OpenFile> {
        let state = Mutex::new(State { phase, source: None, options: Vec::new(), read_only });
        OpenFile::new(pseudo::anonymous_path("[fscontext]"), Arc::new(Self { state }), O_RDWR)
    }

    /// Takes a parameter: a flag, or a key and its value.
    // COMPAT: whether the driver knows it turns out when the instance is made.
    ///
    /// # Errors
    /// EBUSY when it is not the time for parameters, EINVAL for a second source or a comma in a value, ENOMEM for too many.
    pub fn set(&self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::New(_) | Phase::Picked(_)) {
            return Err(Errno::EBUSY.into());
        }
        match (key, value) {
            (b"ro", None) => state.read_only = true,
            (b"rw", None) => state.read_only = false,
            // What a mount in memory is like either way.
            (b"async" | b"sync" | b"dirsync" | b"lazytime" | b"nolazytime" | b"mand" | b"nomand", None) => {}
            (b"source", Some(value)) if state.source.is_none() => state.source = Some(value.to_vec()),
            (b"source", _) => return Err(Errno::EINVAL.into()),
            _ => state.add(key, value)?,
        }
        Ok(())
    }

    /// Makes the instance (FSCONFIG_CMD_CREATE).
    ///
    /// # Errors
    /// EBUSY when it is not the time for it, the driver's.
    pub fn create(&self, start: &LookupStart) -> Result<()> {
        let mut state = self.state.lock();
        let Phase::New(driver) = state.phase else { return Err(Errno::EBUSY.into()) };
        driver.check_mounter(&start.credentials)?;
        let made = driver.mount(&MountRequest { options: &state.options, read_only: state.read_only, start });
        state.phase = Phase::Failed;
        state.phase = Phase::Made(made?);
        Ok(())
    }

    /// Changes the instance (FSCONFIG_CMD_RECONFIGURE).
    ///
    /// # Errors
    /// EBUSY when it is not the time for it, the driver's.
    pub fn reconfigure(&self, start: &LookupStart) -> Result<()> {
        let mut state = self.state.lock();
        let Phase::Picked(super_block) = &state.phase else { return Err(Errno::EBUSY.into()) };
        if !start.credentials.has_in(super_block.owner(), Capability::SysAdmin) {
            return Err(Errno::EPERM.into());
        }
        mount_tree::reconfigure(super_block, start, state.read_only, &state.options)?;
        state.options.clear();
        Ok(())
    }

    /// The instance and its source, once: for fsmount(2).
    ///
    /// # Errors
    /// EINVAL if there is none, EBUSY if it does not wait.
    pub fn take(&self) -> Result<(Arc<SuperBlock>, Vec<u8>, bool)> {
        let mut state = self.state.lock();
        let super_block = match &state.phase {
            Phase::Made(super_block) => super_block.clone(),
            Phase::Picked(_) => return Err(Errno::EBUSY.into()),
            Phase::New(_) | Phase::Failed => return Err(Errno::EINVAL.into()),
        };
        state.phase = Phase::Picked(super_block.clone());
        state.options.clear();
        let source = state.source.take().unwrap_or_else(|| b"none".to_vec());
        Ok((super_block, source, state.read_only))
    }
}

impl State {
    fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if key.contains(&b',') || value.is_some_and(|value| value.contains(&b',')) {
            return Err(Errno::EINVAL.into());
        }
        let more = key.len() + value.map_or(0, |value| value.len() + 1) + 1;
        if self.options.len() + more > OPTIONS_MAX {
            return Err(Errno::EINVAL.into());
        }
        if !self.options.is_empty() {
            self.options.push(b',');
        }
        self.options.extend_from_slice(key);
        if let Some(value) = value {
            self.options.push(b'=');
            self.options.extend_from_slice(value);
        }
        Ok(())
    }
}

impl FileOps for FsContext {
    /// Messages of the driver, of which ours have none.
    fn read(&self, _: &OpenFile, _: &mut VmWriter<'_>) -> Result<usize> {
        Err(Errno::ENODATA.into())
    }
}
