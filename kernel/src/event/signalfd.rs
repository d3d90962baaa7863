//! Signals to wait on (signalfd(2)).
//!
//! What can be read is pending for whoever reads, not for whoever made the file: after fork(2) both parent and child find their own.

use super::{IoEvents, Observer, Pollee};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::process::Process;
use crate::signal::{SigFields, SigInfo, SigSet};
use crate::thread::{Thread, wait};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::event::signalfd_siginfo;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::mm::VmWriter;
use ostd::sync::SpinLock;
use zerocopy::{FromZeros, IntoBytes};

/// A set of signals to read.
#[derive(Debug)]
pub struct SignalFd {
    set: AtomicU64,
    /// Passes on what processes tell of signals; it observes each process that has polled this file.
    relay: Arc<Relay>,
}

#[derive(Debug)]
struct Relay {
    pollee: Pollee,
    observed: SpinLock<Vec<Weak<Process>>>,
}

/// A file to read the signals of `set` from. `status` is O_NONBLOCK or 0.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(set: SigSet, status: u32) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let relay = Arc::new(Relay { pollee: Pollee::new(), observed: SpinLock::new(Vec::new()) });
    let ops = SignalFd { set: AtomicU64::new(set.0), relay };
    Ok(OpenFile::new(pseudo::anonymous_path("anon_inode:[signalfd]"), Arc::new(ops), O_RDWR | status))
}

/// The set behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&SignalFd> {
    file.downcast()
}

impl SignalFd {
    /// Replaces the set.
    pub fn set(&self, set: SigSet) {
        self.set.store(set.0, Ordering::SeqCst);
        self.relay.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    fn wanted(&self) -> SigSet {
        SigSet(self.set.load(Ordering::SeqCst))
    }

    fn take(&self, thread: &Thread) -> Option<SigInfo> {
        let wanted = self.wanted();
        let process = thread.process();
        let mut info =
            thread.signals.pending.take(wanted).or_else(|| process.signals.pending.take(wanted))?;
        if let SigFields::Timer { id, overrun, .. } = &mut info.fields {
            *overrun = process.timers.signal_taken(*id);
        }
        Some(info)
    }
}

impl Relay {
    fn observe(self: &Arc<Self>, process: &Arc<Process>) {
        let mut observed = self.observed.lock();
        if observed.iter().any(|known| core::ptr::eq(known.as_ptr(), Arc::as_ptr(process))) {
            return;
        }
        observed.retain(|known| known.strong_count() > 0);
        let this: Arc<dyn Observer> = self.clone();
        // Without memory for it now, the next look tries again.
        if process.signals.pollee.register(Arc::downgrade(&this), IoEvents::IN).is_ok() {
            observed.push(Arc::downgrade(process));
        }
    }
}

impl Observer for Relay {
    fn on_events(&self, _events: IoEvents) {
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }
}

impl FileOps for SignalFd {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let thread = Thread::current().ok_or(Error::new(Errno::EINVAL))?;
        let room = writer.remaining() / size_of::<signalfd_siginfo>();
        if room == 0 {
            return Err(Errno::EINVAL.into());
        }
        let first = match self.take(&thread) {
            Some(info) => info,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN.into()),
            None => {
                let pollee = &thread.process().signals.pollee;
                wait::wait_for_events(pollee, IoEvents::IN, None, || self.take(&thread))?
            }
        };
        let mut next = Some(first);
        let mut count = 0;
        while let Some(info) = next {
            writer.write_all(to_abi(info).as_bytes())?;
            count += 1;
            next = if count < room { self.take(&thread) } else { None };
        }
        Ok(count * size_of::<signalfd_siginfo>())
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        let Some(thread) = Thread::current() else { return IoEvents::empty() };
        let process = thread.process();
        self.relay.observe(process);
        let pending = thread.signals.pending.set().0 | process.signals.pending.set().0;
        if pending & self.wanted().0 != 0 { IoEvents::IN | IoEvents::RDNORM } else { IoEvents::empty() }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.relay.pollee)
    }
}

fn to_abi(info: SigInfo) -> signalfd_siginfo {
    let mut out = signalfd_siginfo::new_zeroed();
    out.ssi_signo = info.signal.number() as u32;
    out.ssi_code = info.code;
    let value = |out: &mut signalfd_siginfo, value: u64| {
        out.ssi_int = value as i32;
        out.ssi_ptr = value;
    };
    match info.fields {
        SigFields::None => {}
        SigFields::Sender { pid, uid, value: sent } => {
            (out.ssi_pid, out.ssi_uid) = (pid, uid);
            value(&mut out, sent);
        }
        SigFields::Timer { id, overrun, value: sent } => {
            (out.ssi_tid, out.ssi_overrun) = (id as u32, overrun as u32);
            value(&mut out, sent);
        }
        SigFields::Child { pid, uid, status, utime, stime } => {
            (out.ssi_pid, out.ssi_uid, out.ssi_status) = (pid, uid, status);
            (out.ssi_utime, out.ssi_stime) = (utime as u64, stime as u64);
        }
        SigFields::Fault { address } => out.ssi_addr = address,
        SigFields::Call { address, number, architecture, errno } => {
            (out.ssi_call_addr, out.ssi_syscall, out.ssi_arch) = (address, number, architecture);
            out.ssi_errno = errno;
        }
        SigFields::Poll { band, fd } => (out.ssi_band, out.ssi_fd) = (band as u32, fd),
        SigFields::Raw(raw) => {
            // As sigqueue(3) lays it out: process, user, value.
            let word = |at: usize| raw[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            (out.ssi_pid, out.ssi_uid) = (word(0), word(4));
            value(&mut out, u64::from(word(8)) | u64::from(word(12)) << 32);
        }
    }
    out
}
