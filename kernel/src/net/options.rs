//! Options that every socket has (socket(7)).

use crate::error::{Errno, Result};
use alloc::vec::Vec;
use coffer_abi_types::net::{
    SO_BROADCAST, SO_DEBUG, SO_DONTROUTE, SO_KEEPALIVE, SO_LINGER, SO_OOBINLINE, SO_PASSCRED, SO_PRIORITY,
    SO_RCVBUF, SO_RCVBUFFORCE, SO_RCVLOWAT, SO_RCVTIMEO, SO_REUSEADDR, SO_REUSEPORT, SO_RXQ_OVFL, SO_SNDBUF,
    SO_SNDBUFFORCE, SO_SNDLOWAT, SO_SNDTIMEO, SO_TIMESTAMP, SO_TIMESTAMPNS, linger,
};
use coffer_abi_types::time::timeval;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use ostd::timer::now_ns;
use zerocopy::{FromBytes, IntoBytes};

/// What /proc/sys/net/core/{w,r}mem_default say.
const BUFFER_DEFAULT: usize = 212_992;
/// What /proc/sys/net/core/{w,r}mem_max say.
const BUFFER_MAX: usize = 212_992;
/// The smallest that SO_SNDBUF and SO_RCVBUF take, after doubling (socket(7)).
const SEND_MIN: usize = 4608;
const RECEIVE_MIN: usize = 2304;

/// Switches that are bits of one word.
const SWITCHES: [u32; 11] = [
    SO_DEBUG,
    SO_REUSEADDR,
    SO_DONTROUTE,
    SO_BROADCAST,
    SO_KEEPALIVE,
    SO_OOBINLINE,
    SO_REUSEPORT,
    SO_PASSCRED,
    SO_TIMESTAMP,
    SO_TIMESTAMPNS,
    SO_RXQ_OVFL,
];

/// The values.
#[derive(Debug)]
pub struct Options {
    switches: AtomicU32,
    send_buffer: AtomicUsize,
    receive_buffer: AtomicUsize,
    /// User space has set SO_SNDBUF.
    has_fixed_send_buffer: AtomicBool,
    /// User space has set SO_RCVBUF.
    has_fixed_receive_buffer: AtomicBool,
    /// 0: no limit.
    send_timeout_ns: AtomicU64,
    receive_timeout_ns: AtomicU64,
    priority: AtomicU32,
    receive_low: AtomicU32,
    linger: SpinLock<linger>,
    identity: SpinLock<Identity>,
}

/// How tables of sockets name one: by the inode of its open file, and by who made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// 0 for a connection that nobody has accepted yet.
    pub ino: u64,
    /// User id.
    pub uid: u32,
}

/// An option's value, as getsockopt(2) gives it.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// An int.
    Int(i32),
    /// SO_LINGER.
    Linger(linger),
    /// SO_RCVTIMEO, SO_SNDTIMEO.
    Time(timeval),
    /// A structure or a name.
    Bytes(Vec<u8>),
}

impl Options {
    /// The defaults.
    pub const fn new() -> Self {
        Self::with_buffers(BUFFER_DEFAULT, BUFFER_DEFAULT)
    }

    /// The defaults but for SO_SNDBUF and SO_RCVBUF.
    pub const fn with_buffers(send: usize, receive: usize) -> Self {
        Self {
            switches: AtomicU32::new(0),
            send_buffer: AtomicUsize::new(send),
            receive_buffer: AtomicUsize::new(receive),
            has_fixed_send_buffer: AtomicBool::new(false),
            has_fixed_receive_buffer: AtomicBool::new(false),
            send_timeout_ns: AtomicU64::new(0),
            receive_timeout_ns: AtomicU64::new(0),
            priority: AtomicU32::new(0),
            receive_low: AtomicU32::new(1),
            linger: SpinLock::new(linger { l_onoff: 0, l_linger: 0 }),
            identity: SpinLock::new(Identity { ino: 0, uid: 0 }),
        }
    }

    /// How tables of sockets name it.
    pub fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// It has got an open file.
    pub fn set_identity(&self, identity: Identity) {
        *self.identity.lock() = identity;
    }

    /// Whether SO_PASSCRED is on.
    pub fn passes_credentials(&self) -> bool {
        self.is_on(SO_PASSCRED)
    }

    /// SO_SNDBUF in bytes.
    pub fn send_buffer(&self) -> usize {
        self.send_buffer.load(Ordering::Relaxed)
    }

    /// SO_RCVBUF in bytes.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer.load(Ordering::Relaxed)
    }

    /// SO_SNDBUF, if user space has set it.
    pub fn fixed_send_buffer(&self) -> Option<usize> {
        self.has_fixed_send_buffer.load(Ordering::Relaxed).then(|| self.send_buffer())
    }

    /// SO_RCVBUF, if user space has set it.
    pub fn fixed_receive_buffer(&self) -> Option<usize> {
        self.has_fixed_receive_buffer.load(Ordering::Relaxed).then(|| self.receive_buffer())
    }

    /// SO_RCVLOWAT.
    pub fn receive_low(&self) -> usize {
        self.receive_low.load(Ordering::Relaxed) as usize
    }

    /// SO_LINGER.
    pub fn linger(&self) -> linger {
        *self.linger.lock()
    }

    /// Takes over what a connection has from the socket that it was accepted by.
    pub fn inherit(&self, from: &Self) {
        let words = [
            (&self.switches, &from.switches),
            (&self.priority, &from.priority),
            (&self.receive_low, &from.receive_low),
        ];
        for (to, from) in words {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (to, from) in
            [(&self.send_buffer, &from.send_buffer), (&self.receive_buffer, &from.receive_buffer)]
        {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (to, from) in [
            (&self.send_timeout_ns, &from.send_timeout_ns),
            (&self.receive_timeout_ns, &from.receive_timeout_ns),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (to, from) in [
            (&self.has_fixed_send_buffer, &from.has_fixed_send_buffer),
            (&self.has_fixed_receive_buffer, &from.has_fixed_receive_buffer),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        *self.linger.lock() = from.linger();
    }

    /// When a send that starts now gives up (monotonic).
    pub fn send_deadline_ns(&self) -> Option<u64> {
        deadline(&self.send_timeout_ns)
    }

    /// When a receive that starts now gives up (monotonic).
    pub fn receive_deadline_ns(&self) -> Option<u64> {
        deadline(&self.receive_timeout_ns)
    }

    /// getsockopt(2) at SOL_SOCKET.
    ///
    /// # Errors
    /// ENOPROTOOPT.
    pub fn get(&self, name: u32) -> Result<OptionValue> {
        let time = |ns: &AtomicU64| OptionValue::Time(timeval::from_ns(ns.load(Ordering::Relaxed)));
        Ok(match name {
            SO_SNDBUF => OptionValue::Int(self.send_buffer() as i32),
            SO_RCVBUF => OptionValue::Int(self.receive_buffer() as i32),
            SO_SNDTIMEO => time(&self.send_timeout_ns),
            SO_RCVTIMEO => time(&self.receive_timeout_ns),
            SO_PRIORITY => OptionValue::Int(self.priority.load(Ordering::Relaxed) as i32),
            SO_RCVLOWAT => OptionValue::Int(self.receive_low.load(Ordering::Relaxed) as i32),
            SO_SNDLOWAT => OptionValue::Int(1),
            SO_LINGER => OptionValue::Linger(self.linger()),
            _ if SWITCHES.contains(&name) => OptionValue::Int(i32::from(self.is_on(name))),
            _ => return Err(Errno::ENOPROTOOPT.into()),
        })
    }

    /// setsockopt(2) at SOL_SOCKET.
    ///
    /// # Errors
    /// EINVAL for a value too short or senseless, ENOPROTOOPT.
    pub fn set(&self, name: u32, value: &[u8]) -> Result<()> {
        match name {
            SO_SNDBUF | SO_SNDBUFFORCE => {
                self.send_buffer.store(buffer_size(value, SEND_MIN)?, Ordering::Relaxed);
                self.has_fixed_send_buffer.store(true, Ordering::Relaxed);
            }
            SO_RCVBUF | SO_RCVBUFFORCE => {
                self.receive_buffer.store(buffer_size(value, RECEIVE_MIN)?, Ordering::Relaxed);
                self.has_fixed_receive_buffer.store(true, Ordering::Relaxed);
            }
            SO_SNDTIMEO => self.send_timeout_ns.store(timeout(value)?, Ordering::Relaxed),
            SO_RCVTIMEO => self.receive_timeout_ns.store(timeout(value)?, Ordering::Relaxed),
            SO_PRIORITY => self.priority.store(int(value)? as u32, Ordering::Relaxed),
            SO_RCVLOWAT => self.receive_low.store((int(value)?).max(1) as u32, Ordering::Relaxed),
            SO_LINGER => {
                *self.linger.lock() = linger::read_from_prefix(value).map_err(|_| Errno::EINVAL)?.0;
            }
            _ if SWITCHES.contains(&name) => {
                let bit = 1 << (name & 31);
                if int(value)? != 0 {
                    self.switches.fetch_or(bit, Ordering::Relaxed);
                } else {
                    self.switches.fetch_and(!bit, Ordering::Relaxed);
                }
            }
            _ => return Err(Errno::ENOPROTOOPT.into()),
        }
        Ok(())
    }

    /// A switch.
    pub fn is_on(&self, name: u32) -> bool {
        self.switches.load(Ordering::Relaxed) & 1 << (name & 31) != 0
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl OptionValue {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Int(value) => value.as_bytes(),
            Self::Linger(value) => value.as_bytes(),
            Self::Time(value) => value.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// An int at the start of an option's value.
///
/// # Errors
/// EINVAL if the value is shorter.
pub fn int(value: &[u8]) -> Result<i32> {
    Ok(i32::read_from_prefix(value).map_err(|_| Errno::EINVAL)?.0)
}

/// Doubled, to allow for what the kernel keeps beside the bytes (socket(7)).
fn buffer_size(value: &[u8], min: usize) -> Result<usize> {
    let bytes = usize::try_from(int(value)?).unwrap_or(0).min(BUFFER_MAX);
    Ok((bytes * 2).max(min))
}

fn timeout(value: &[u8]) -> Result<u64> {
    let time = timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?.0;
    if time.tv_sec < 0 {
        // As Linux: as short as can be.
        return Ok(1);
    }
    time.to_ns().ok_or(Errno::EDOM.into())
}

fn deadline(timeout_ns: &AtomicU64) -> Option<u64> {
    match timeout_ns.load(Ordering::Relaxed) {
        0 => None,
        ns => Some(now_ns().saturating_add(ns)),
    }
}
