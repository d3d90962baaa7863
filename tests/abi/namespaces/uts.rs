//! UTS namespaces: uts_namespaces(7).

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{gethostname, sethostname};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("namespaces":
    a_host_name_stays_inside,
    a_host_name_has_a_limit_and_needs_privilege,
);

fn a_host_name_stays_inside() -> Outcome {
    unshare(CloneFlags::CLONE_NEWUTS)?;
    sethostname("outer")?;
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        check_eq!(gethostname()?, "outer");
        sethostname("inner")?;
        check_eq!(gethostname()?, "inner");
        check_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname")?, "inner\n");
        Ok(())
    })?;
    check_eq!(gethostname()?, "outer");
    Ok(())
}

fn a_host_name_has_a_limit_and_needs_privilege() -> Outcome {
    unshare(CloneFlags::CLONE_NEWUTS)?;
    sethostname("n".repeat(64))?;
    check_fails!(sethostname("n".repeat(65)), EINVAL);
    check!(gethostname()?.len() == 64);
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check_fails!(sethostname("x"), EPERM);
    Ok(())
}
