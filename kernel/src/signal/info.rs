//! What comes with a signal: `siginfo_t` before it is bytes (sigaction(2)).

use super::Signal;
use crate::process::Process;
use coffer_abi_types::signal::{SI_KERNEL, siginfo_t};

/// A signal and what it carries.
#[derive(Clone, Copy, Debug)]
pub struct SigInfo {
    /// Which.
    pub signal: Signal,
    /// `si_code`.
    pub code: i32,
    /// The union.
    pub fields: SigFields,
}

/// The union in `siginfo_t`. Ids of processes and users are those of the initial namespaces until [`super::send`] translates them for the receiver.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the list is complete, whoever uses it")]
pub enum SigFields {
    /// Nothing else is known.
    None,
    /// kill(2), sigqueue(3): who sent it, and with what.
    Sender { pid: u32, uid: u32, value: u64 },
    /// A POSIX timer.
    Timer { id: i32, overrun: i32, value: u64 },
    /// SIGCHLD.
    Child { pid: u32, uid: u32, status: i32, utime: i64, stime: i64 },
    /// A fault at an address.
    Fault { address: u64 },
    /// SIGSYS: a call that a filter trapped.
    Call { address: u64, number: i32, architecture: u32, errno: i32 },
    /// SIGIO.
    Poll { band: i64, fd: i32 },
    /// Whatever rt_sigqueueinfo(2) was given.
    Raw([u8; 112]),
}

impl SigInfo {
    /// From the kernel, about nobody.
    pub const fn kernel(signal: Signal) -> Self {
        Self { signal, code: SI_KERNEL, fields: SigFields::None }
    }

    /// From a process: kill(2), tgkill(2).
    pub fn from_process(signal: Signal, code: i32, sender: &Process) -> Self {
        let uid = sender.credentials().uid[0];
        Self { signal, code, fields: SigFields::Sender { pid: sender.pid(), uid, value: 0 } }
    }

    /// An exception at `address`.
    pub const fn fault(signal: Signal, code: i32, address: u64) -> Self {
        Self { signal, code, fields: SigFields::Fault { address } }
    }

    /// The bytes for user space.
    pub fn to_abi(self) -> siginfo_t {
        let mut fields = [0; 112];
        let mut put = |at: usize, bytes: &[u8]| fields[at..at + bytes.len()].copy_from_slice(bytes);
        match self.fields {
            SigFields::None => {}
            SigFields::Sender { pid, uid, value } => {
                put(0, &pid.to_ne_bytes());
                put(4, &uid.to_ne_bytes());
                put(8, &value.to_ne_bytes());
            }
            SigFields::Timer { id, overrun, value } => {
                put(0, &id.to_ne_bytes());
                put(4, &overrun.to_ne_bytes());
                put(8, &value.to_ne_bytes());
            }
            SigFields::Child { pid, uid, status, utime, stime } => {
                put(0, &pid.to_ne_bytes());
                put(4, &uid.to_ne_bytes());
                put(8, &status.to_ne_bytes());
                put(16, &utime.to_ne_bytes());
                put(24, &stime.to_ne_bytes());
            }
            SigFields::Fault { address } => put(0, &address.to_ne_bytes()),
            SigFields::Call { address, number, architecture, .. } => {
                put(0, &address.to_ne_bytes());
                put(8, &number.to_ne_bytes());
                put(12, &architecture.to_ne_bytes());
            }
            SigFields::Poll { band, fd } => {
                put(0, &band.to_ne_bytes());
                put(8, &fd.to_ne_bytes());
            }
            SigFields::Raw(raw) => fields = raw,
        }
        let si_errno = if let SigFields::Call { errno, .. } = self.fields { errno } else { 0 };
        siginfo_t { si_signo: self.signal.number(), si_errno, si_code: self.code, __pad: 0, fields }
    }

    /// From what rt_sigqueueinfo(2) was given; `signal` is the call's argument, as Linux has it.
    pub fn from_abi(signal: Signal, info: &siginfo_t) -> Self {
        Self { signal, code: info.si_code, fields: SigFields::Raw(info.fields) }
    }
}
