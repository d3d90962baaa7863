//! [capget(2), capset(2)](https://man7.org/linux/man-pages/man2/capget.2.html)

use super::process_of;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::{ALL_CAPABILITIES, Capability, Credentials, set};
use crate::syscall::UserPtr;
use coffer_abi_types::process::{cap_user_data, cap_user_header};

/// 32 bits, 64 bits with a flawed header, 64 bits.
const VERSIONS: [u32; 3] = [0x1998_0330, 0x2007_1026, 0x2008_0522];

/// The capabilities of a process.
pub fn sys_capget(
    header: UserPtr<cap_user_header>,
    data: UserPtr<cap_user_data>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let given = header.read()?;
    let words = match words_of(header, &given) {
        // A probe for the version that we prefer.
        Err(error) if data.is_null() && error.errno() == Errno::EINVAL => return Ok(0),
        words => words?,
    };
    if given.pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let credentials = process_of(given.pid, context)?.credentials();
    if data.is_null() {
        return Ok(0);
    }
    let word = |index: usize, part: usize| (credentials.capabilities[index] >> (part * 32)) as u32;
    let values: [cap_user_data; 2] = core::array::from_fn(|part| cap_user_data {
        effective: word(set::EFFECTIVE, part),
        permitted: word(set::PERMITTED, part),
        inheritable: word(set::INHERITABLE, part),
    });
    data.write_array(&values[..words])?;
    Ok(0)
}

/// Sets the caller's capabilities.
pub fn sys_capset(
    header: UserPtr<cap_user_header>,
    data: UserPtr<cap_user_data>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let given = header.read()?;
    let words = words_of(header, &given)?;
    if given.pid != 0 && given.pid as u32 != context.process.id().own() {
        return Err(Errno::EPERM.into());
    }
    let values = data.read_array(words)?;
    let join = |part: fn(&cap_user_data) -> u32| {
        let high = values.get(1).map_or(0, part);
        (u64::from(part(&values[0])) | u64::from(high) << 32) & ALL_CAPABILITIES
    };
    let old = context.process.credentials();
    let new = changed(&old, join(|d| d.effective), join(|d| d.permitted), join(|d| d.inheritable))?;
    context.process.set_credentials(new);
    Ok(0)
}

/// The rules of capset(2).
fn changed(old: &Credentials, effective: u64, permitted: u64, inheritable: u64) -> Result<Credentials> {
    let [old_permitted, _, old_inheritable, bounding, ambient] = old.capabilities;
    let may_inherit = if old.has_own(Capability::Setpcap) {
        old_inheritable | bounding
    } else {
        (old_inheritable | old_permitted) & (old_inheritable | bounding)
    };
    let is_allowed =
        inheritable & !may_inherit == 0 && permitted & !old_permitted == 0 && effective & !permitted == 0;
    if !is_allowed {
        return Err(Errno::EPERM.into());
    }
    let mut new = old.clone();
    new.capabilities = [permitted, effective, inheritable, bounding, ambient & permitted & inheritable];
    Ok(new)
}

fn words_of(header: UserPtr<cap_user_header>, given: &cap_user_header) -> Result<usize> {
    match VERSIONS.iter().position(|&version| version == given.version) {
        Some(0) => Ok(1),
        Some(_) => Ok(2),
        None => {
            header.write(&cap_user_header { version: VERSIONS[2], ..*given })?;
            Err(Errno::EINVAL.into())
        }
    }
}
