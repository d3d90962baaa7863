//! Which devices the processes of a group may make and open: programs that are attached to it by bpf(2) (`BPF_CGROUP_DEVICE`), in the place of a
//! controller with files.

use super::Cgroup;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::file_system::split_device;
use crate::fs::vfs::inode::FileType;
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_device_program::{Program, Question};
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// BPF_DEVCG_ACC_MKNOD.
pub const MAKE: u32 = 1;
/// BPF_DEVCG_ACC_READ.
pub const READ: u32 = 2;
/// BPF_DEVCG_ACC_WRITE.
pub const WRITE: u32 = 4;

/// BPF_F_ALLOW_OVERRIDE: a group below may have another program in this one's place.
pub const ALLOW_OVERRIDE: u32 = 1;
/// BPF_F_ALLOW_MULTI: programs of groups below are asked as well.
pub const ALLOW_MULTI: u32 = 2;
/// BPF_F_REPLACE: in the place of a given one.
pub const REPLACE: u32 = 4;

/// The most programs of one group (Linux: BPF_CGROUP_MAX_PROGS).
const PROGRAMS_MAX: usize = 64;
/// The most programs that there are, on the machine.
const LOADED_MAX: usize = 4096;

/// A program that was loaded.
#[derive(Debug)]
pub struct DeviceProgram {
    id: u32,
    name: [u8; 16],
    program: Program,
    is_for_devices: bool,
}

/// Programs by their numbers (BPF_PROG_GET_FD_BY_ID).
static LOADED: SpinLock<Loaded> = SpinLock::new(Loaded { last: 0, programs: BTreeMap::new() });
/// How many programs are attached to groups: as long as there are none, nobody is asked.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Loaded {
    last: u32,
    programs: BTreeMap<u32, Weak<DeviceProgram>>,
}

/// The programs of a group.
#[derive(Debug, Default)]
pub struct Devices(SpinLock<Attached>);

#[derive(Debug, Default)]
struct Attached {
    /// ALLOW_OVERRIDE, ALLOW_MULTI or neither.
    flags: u32,
    programs: Vec<Arc<DeviceProgram>>,
}

impl DeviceProgram {
    /// Makes a program known by a number.
    ///
    /// # Errors
    /// ENOMEM if there are very many.
    pub fn new(program: Program, name: [u8; 16], is_for_devices: bool) -> Result<Arc<Self>> {
        let mut loaded = LOADED.lock();
        if loaded.programs.len() >= LOADED_MAX || ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let id = loaded.last.wrapping_add(1).max(1);
        if loaded.programs.contains_key(&id) {
            return Err(Errno::EAGAIN.into());
        }
        loaded.last = id;
        let program = Arc::new(Self { id, name, program, is_for_devices });
        loaded.programs.insert(id, Arc::downgrade(&program));
        Ok(program)
    }

    /// The one with this number.
    pub fn find(id: u32) -> Option<Arc<Self>> {
        LOADED.lock().programs.get(&id)?.upgrade()
    }

    /// Whether it can be attached to groups. One that cannot is there because libraries find out by such whether programs can be attached at all.
    pub fn is_for_devices(&self) -> bool {
        self.is_for_devices
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name, padded with zeros.
    pub fn name(&self) -> [u8; 16] {
        self.name
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.program.len()
    }
}

impl Drop for DeviceProgram {
    fn drop(&mut self) {
        LOADED.lock().programs.remove(&self.id);
    }
}

impl Devices {
    /// Flags and numbers of what is attached here.
    pub fn attached(&self) -> (u32, Vec<u32>) {
        let attached = self.0.lock();
        (attached.flags, attached.programs.iter().map(|program| program.id).collect())
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        ATTACHED.fetch_sub(self.0.get_mut().programs.len(), Ordering::Relaxed);
    }
}

impl Cgroup {
    /// Attaches a program, in the place of `replaced` if REPLACE is set, or of the only one if several are not allowed.
    ///
    /// # Errors
    /// EPERM if a group above does not allow it, or what is attached here was with other flags; EINVAL if it is attached already, ENOENT if
    /// `replaced` is not, E2BIG if there are too many, ENOMEM.
    pub fn attach_device_program(
        &self,
        program: Arc<DeviceProgram>,
        flags: u32,
        replaced: Option<&Arc<DeviceProgram>>,
    ) -> Result<()> {
        let kind = flags & (ALLOW_OVERRIDE | ALLOW_MULTI);
        if kind == ALLOW_OVERRIDE | ALLOW_MULTI || flags & REPLACE != 0 && kind != ALLOW_MULTI {
            return Err(Errno::EINVAL.into());
        }
        for above in self.lineage().skip(1) {
            let above = above.devices.0.lock();
            if above.flags & ALLOW_MULTI != 0 {
                break;
            }
            if !above.programs.is_empty() {
                if above.flags & ALLOW_OVERRIDE == 0 {
                    return Err(Error::with(
                        Errno::EPERM,
                        "a group above has a program that cannot be overridden",
                    ));
                }
                break;
            }
        }
        let mut attached = self.devices.0.lock();
        if !attached.programs.is_empty() && attached.flags != kind {
            return Err(Errno::EPERM.into());
        }
        let position = |wanted: &Arc<DeviceProgram>| {
            attached.programs.iter().position(|program| Arc::ptr_eq(program, wanted))
        };
        let place = if kind != ALLOW_MULTI {
            if attached.programs.is_empty() { None } else { Some(0) }
        } else if position(&program).is_some() {
            return Err(Errno::EINVAL.into());
        } else if flags & REPLACE != 0 {
            Some(replaced.and_then(position).ok_or(Errno::ENOENT)?)
        } else {
            None
        };
        attached.flags = kind;
        match place {
            Some(place) => {
                let old = core::mem::replace(&mut attached.programs[place], program);
                drop(attached);
                drop(old);
            }
            None if attached.programs.len() >= PROGRAMS_MAX => return Err(Errno::E2BIG.into()),
            None => {
                attached.programs.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                attached.programs.push(program);
                ATTACHED.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Takes a program away; where several are not allowed, the one there is.
    ///
    /// # Errors
    /// ENOENT.
    pub fn detach_device_program(&self, program: Option<&Arc<DeviceProgram>>) -> Result<()> {
        let mut attached = self.devices.0.lock();
        let place = match program {
            Some(wanted) if attached.flags & ALLOW_MULTI != 0 => {
                attached.programs.iter().position(|program| Arc::ptr_eq(program, wanted))
            }
            _ if attached.flags & ALLOW_MULTI == 0 && !attached.programs.is_empty() => Some(0),
            _ => None,
        };
        let gone = attached.programs.remove(place.ok_or(Errno::ENOENT)?);
        if attached.programs.is_empty() {
            attached.flags = 0;
        }
        drop(attached);
        drop(gone);
        ATTACHED.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Asks all programs that count for this group: the nearest ones, and those of groups above that allow several.
    fn allows_device(&self, question: Question) -> bool {
        let mut has_asked = false;
        for group in self.lineage() {
            let attached = group.devices.0.lock();
            if has_asked && attached.flags & ALLOW_MULTI == 0 {
                continue;
            }
            has_asked |= !attached.programs.is_empty();
            if !attached.programs.iter().all(|program| program.program.run(question)) {
                return false;
            }
        }
        true
    }
}

/// Whether the calling thread's group lets it do `access` to a device.
///
/// # Errors
/// EPERM.
pub fn check(file_type: FileType, device: u64, access: u32) -> Result<()> {
    if ATTACHED.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let Some(thread) = Thread::current() else { return Ok(()) };
    let (major, minor) = split_device(device);
    let question = Question { is_block: file_type == FileType::BlockDevice, access, major, minor };
    if thread.process().cgroup.get().allows_device(question) {
        Ok(())
    } else {
        Err(Error::with(Errno::EPERM, "the control group may not use this device"))
    }
}
