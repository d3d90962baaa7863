//! Small files of /proc/PID: names, identities, and what may be set.

use super::Subject;
use super::stat::name_of;
use crate::error::{Errno, Result};
use crate::fs::proc::sys::parse;
use crate::fs::synthetic::Text;
use crate::mm::oom;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// Bounds of oom_score_adj.
const SCORE_MAX: i32 = 1000;
/// Bounds of the old oom_adj.
const OLD_SCORE_MAX: i32 = 15;
const OLD_SCORE_MIN: i32 = -17;

/// /proc/PID/comm.
pub fn show_comm(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.process()?;
    let (name, len) = name_of(&process, subject.thread().ok().as_ref());
    text.bytes(&name[..len]);
    text.bytes(b"\n");
    Ok(())
}

/// Only a thread of the same process may name a thread.
pub fn store_comm(subject: &Subject, bytes: &[u8]) -> Result<()> {
    let thread = subject.thread()?;
    let is_own = Thread::current().is_some_and(|reader| Arc::ptr_eq(reader.process(), thread.process()));
    if !is_own {
        return Err(Errno::EINVAL.into());
    }
    let name = bytes.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default();
    thread.set_name(name);
    Ok(())
}

/// /proc/PID/loginuid: nobody has logged in (there is no audit).
pub fn show_login_uid(subject: &Subject, text: &mut Text) -> Result<()> {
    subject.process()?;
    text.add(format_args!("{}", u32::MAX));
    Ok(())
}

/// /proc/PID/sessionid, likewise.
pub fn show_session_id(subject: &Subject, text: &mut Text) -> Result<()> {
    show_login_uid(subject, text)
}

/// /proc/PID/personality.
pub fn show_personality(subject: &Subject, text: &mut Text) -> Result<()> {
    text.add(format_args!("{:08x}\n", subject.check_access()?.personality()));
    Ok(())
}

/// /proc/PID/wchan: where a sleeping thread waits is not known by name.
pub fn show_wchan(subject: &Subject, text: &mut Text) -> Result<()> {
    subject.process()?;
    text.bytes(b"0");
    Ok(())
}

/// /proc/PID/oom_score.
pub fn show_oom_score(subject: &Subject, text: &mut Text) -> Result<()> {
    text.add(format_args!("{}\n", oom::score(&*subject.process()?)));
    Ok(())
}

/// /proc/PID/oom_score_adj.
pub fn show_oom_score_adj(subject: &Subject, text: &mut Text) -> Result<()> {
    text.add(format_args!("{}\n", subject.process()?.oom_score_adj.load(Ordering::Relaxed)));
    Ok(())
}

/// Less than it was needs CAP_SYS_RESOURCE.
pub fn store_oom_score_adj(subject: &Subject, bytes: &[u8]) -> Result<()> {
    let value: i32 = parse(bytes)?;
    if !(-SCORE_MAX..=SCORE_MAX).contains(&value) {
        return Err(Errno::EINVAL.into());
    }
    adjust(subject, value)
}

/// /proc/PID/oom_adj: the same on another scale.
pub fn show_oom_adj(subject: &Subject, text: &mut Text) -> Result<()> {
    let value = subject.process()?.oom_score_adj.load(Ordering::Relaxed);
    let old = if value == SCORE_MAX { OLD_SCORE_MAX } else { value * -OLD_SCORE_MIN / SCORE_MAX };
    text.add(format_args!("{old}\n"));
    Ok(())
}

/// As [`store_oom_score_adj`].
pub fn store_oom_adj(subject: &Subject, bytes: &[u8]) -> Result<()> {
    let value: i32 = parse(bytes)?;
    if !(OLD_SCORE_MIN..=OLD_SCORE_MAX).contains(&value) {
        return Err(Errno::EINVAL.into());
    }
    adjust(subject, if value == OLD_SCORE_MAX { SCORE_MAX } else { value * SCORE_MAX / -OLD_SCORE_MIN })
}

fn adjust(subject: &Subject, value: i32) -> Result<()> {
    let process = subject.process()?;
    let may_lower =
        Thread::current().is_none_or(|thread| thread.process().credentials().has(Capability::SysResource));
    if value < process.oom_score_adj.load(Ordering::Relaxed) && !may_lower {
        return Err(Errno::EACCES.into());
    }
    process.oom_score_adj.store(value, Ordering::Relaxed);
    Ok(())
}
