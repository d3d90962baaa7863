//! The container's control group: joined by its first process before anything is done for it, so that all of it counts and its namespace of
//! groups, if it has one, begins there.

use std::fs;

use oci_spec::runtime::Spec;

use crate::Error;
use crate::process::namespaces;

/// Joins the group, whose folder the configuration names as the machine sees it.
pub fn join(spec: &Spec) -> Result<(), Error> {
    let Some(group) = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_ref()) else {
        return Ok(());
    };
    let what = || format!("join the control group `{}`", group.display());
    // 0 is whoever writes it.
    fs::write(group.join("cgroup.procs"), "0").map_err(Error::io(what()))?;
    if namespaces::has_cgroup(spec) {
        runtime_sys::clone::unshare_cgroup().map_err(Error::io(what()))?;
    }
    Ok(())
}
