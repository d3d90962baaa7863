//! [uname(2)](https://man7.org/linux/man-pages/man2/uname.2.html), [sethostname(2)](https://man7.org/linux/man-pages/man2/sethostname.2.html),
//! [setdomainname(2)](https://man7.org/linux/man-pages/man2/setdomainname.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::process::namespace::uts::UtsNamespace;
use crate::release;
use crate::syscall::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::system::{uts_field, utsname};

/// The longest name, without its NUL.
const MAX: usize = 64;

/// Names of the system.
pub fn sys_uname(to: UserPtr<utsname>, context: &mut Context<'_>) -> Result<usize> {
    let uts = namespace(context)?;
    to.write(&utsname {
        sysname: field(release::SYSTEM.as_bytes()),
        nodename: field(&uts.host()),
        release: field(release::RELEASE.as_bytes()),
        version: field(release::VERSION.as_bytes()),
        machine: field(release::MACHINE.as_bytes()),
        domainname: field(&uts.domain()),
    })?;
    Ok(0)
}

/// Names the host.
pub fn sys_sethostname(name: UserPtr<u8>, len: i32, context: &mut Context<'_>) -> Result<usize> {
    let name = read_name(name, len, context)?;
    namespace(context)?.set_host(name);
    Ok(0)
}

/// Names the NIS domain.
pub fn sys_setdomainname(name: UserPtr<u8>, len: i32, context: &mut Context<'_>) -> Result<usize> {
    let name = read_name(name, len, context)?;
    namespace(context)?.set_domain(name);
    Ok(0)
}

fn namespace(context: &Context<'_>) -> Result<Arc<UtsNamespace>> {
    Ok(context.thread.namespaces()?.uts.clone())
}

fn read_name(name: UserPtr<u8>, len: i32, context: &Context<'_>) -> Result<Vec<u8>> {
    if !context.process.credentials().has_in(namespace(context)?.owner(), Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX).ok_or(Errno::EINVAL)?;
    let mut name = name.read_array(len)?;
    if let Some(end) = name.iter().position(|&byte| byte == 0) {
        name.truncate(end);
    }
    Ok(name)
}

fn field(text: &[u8]) -> uts_field {
    let mut field = [0; 65];
    let len = text.len().min(MAX);
    field[..len].copy_from_slice(&text[..len]);
    field
}
