//! Privileges: capabilities, groups and ids, no_new_privs.
//!
//! The order is the point: the bounding set can only be cut while CAP_SETPCAP is held, ids only be changed while CAP_SETUID
//! is, and the final sets are written when the ids have their final values. See capabilities(7).

use oci_spec::runtime::{Capabilities, Process};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::Error;

pub fn become_user(process: &Process) -> Result<(), Error> {
    let user = process.user();
    let sets = process.capabilities().as_ref();
    let set = |set: Option<&Capabilities>| set.map_or(Ok(CapabilitySet::empty()), to_kernel);

    if let Some(sets) = sets {
        cut_bounding_set(set(sets.bounding().as_ref())?)?;
        rustix::thread::set_keep_capabilities(true).map_err(Error::system("keep capabilities"))?;
    }
    let groups: Vec<Gid> = user.additional_gids().iter().flatten().map(|&gid| Gid::from_raw(gid)).collect();
    rustix::thread::set_thread_groups(&groups).map_err(Error::system("set the groups"))?;
    let gid = Gid::from_raw(user.gid());
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(Error::system("set the group id"))?;
    let uid = Uid::from_raw(user.uid());
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(Error::system("set the user id"))?;

    if let Some(sets) = sets {
        rustix::thread::set_keep_capabilities(false).map_err(Error::system("drop capabilities"))?;
        let wanted = CapabilitySets {
            effective: set(sets.effective().as_ref())?,
            permitted: set(sets.permitted().as_ref())?,
            inheritable: set(sets.inheritable().as_ref())?,
        };
        rustix::thread::set_capabilities(None, wanted).map_err(Error::system("set capabilities"))?;
        for capability in set(sets.ambient().as_ref())?.iter() {
            rustix::thread::configure_capability_in_ambient_set(capability, true)
                .map_err(Error::system("set ambient capabilities"))?;
        }
    }
    if process.no_new_privileges().unwrap_or_default() {
        rustix::thread::set_no_new_privs(true).map_err(Error::system("set no_new_privs"))?;
    }
    let umask = user.umask().unwrap_or(0o022);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask & 0o777));
    Ok(())
}

/// Removes everything but `kept`. Numbers that the kernel does not know end the list.
fn cut_bounding_set(kept: CapabilitySet) -> Result<(), Error> {
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::INVAL) if number > CAP_CHECKPOINT_RESTORE_OR_OLDER => break,
            Err(errno) => return Err(Error::system("cut the bounding set")(errno)),
        }
    }
    Ok(())
}

/// Capabilities up to this number exist in every kernel since 2.6.33; only a higher one may be unknown.
const CAP_CHECKPOINT_RESTORE_OR_OLDER: u32 = 33;

/// The names of the specification as the kernel's bits.
fn to_kernel(capabilities: &Capabilities) -> Result<CapabilitySet, Error> {
    capabilities.iter().try_fold(CapabilitySet::empty(), |set, capability| {
        let name = capability.to_string();
        match CapabilitySet::from_name(&name) {
            Some(capability) => Ok(set | capability),
            None => Err(Error::Unsupported { what: "capability", value: name }),
        }
    })
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Capability;

    use super::*;

    #[test]
    fn names_become_bits() {
        let set = Capabilities::from([
            Capability::Chown,
            Capability::NetBindService,
            Capability::CheckpointRestore,
        ]);
        assert_eq!(to_kernel(&set).unwrap().bits(), 1 | 1 << 10 | 1 << 40);
    }
}
