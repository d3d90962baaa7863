//! POSIX message queues (mq_overview(7)): messages in order of priority. Their names are [`crate::fs::mqueue`]'s.

use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::synthetic::Text;
use crate::net::Socket;
use crate::net::netlink::{Datagram, NetlinkSocket};
use crate::process::Process;
use crate::process::credentials::{Capability, Credentials};
use crate::process::rlimit::Resource;
use crate::signal::{SigFields, SigInfo, Signal, send};
use crate::thread::wait;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::ipc::mq_attr;
use coffer_abi_types::signal::{SI_MESGQ, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD};
use core::any::Any;
use core::cmp::Reverse;
use ostd::sync::{SpinLock, WaitQueue};

/// Messages of a queue whose maker does not say (fs.mqueue.msg_default), and the most that one without CAP_SYS_RESOURCE may ask for (msg_max).
pub const MESSAGES_DEFAULT: i64 = 10;
/// Bytes of a message, likewise (msgsize_default, msgsize_max).
pub const SIZE_DEFAULT: i64 = 8192;
/// The most queues of a namespace, for makers without CAP_SYS_RESOURCE (queues_max).
pub const QUEUES_MAX: usize = 256;
/// What nobody may pass: mq_overview(7).
const MESSAGES_LIMIT: i64 = 65_536;
const SIZE_LIMIT: i64 = 16 << 20;
/// Priorities are below this (MQ_PRIO_MAX).
pub const PRIORITIES: u32 = 32_768;
/// What a message counts for beside its bytes, and what a priority does, against RLIMIT_MSGQUEUE (getrlimit(2)).
const MESSAGE_OVERHEAD: u64 = 48;
const PRIORITY_OVERHEAD: u64 = 48;

/// Bytes of a notification by a socket: the C library's own, but for the last.
const COOKIE_LEN: usize = 32;
const COOKIE_WOKEN: u8 = 1;
const COOKIE_REMOVED: u8 = 2;

/// Bytes that queues of each user may take, by user id.
static CHARGES: SpinLock<BTreeMap<u32, u64>> = SpinLock::new(BTreeMap::new());

/// A queue.
#[derive(Debug)]
pub struct Queue {
    messages_max: usize,
    size_max: usize,
    state: SpinLock<State>,
    /// Who waits for a message.
    arrived: WaitQueue,
    /// Who waits for room.
    room: WaitQueue,
    pollee: Pollee,
    _charge: Charge,
}

#[derive(Debug, Default)]
struct State {
    /// By priority, the highest first, then in order of arrival.
    messages: BTreeMap<(Reverse<u32>, u64), Vec<u8>>,
    bytes: usize,
    arrivals: u64,
    /// How many wait for a message.
    receivers: usize,
    registration: Option<Registration>,
}

/// Who is told, once, when a message comes into the empty queue (mq_notify(3)).
#[derive(Debug)]
struct Registration {
    owner: Weak<Process>,
    notice: Notice,
}

/// How to tell.
#[derive(Debug)]
pub enum Notice {
    /// Not at all; but nobody else can register.
    Nothing,
    /// By a signal with a value.
    Signal(Signal, u64),
    /// By bytes that a socket receives: how the C library starts threads.
    Socket(Arc<dyn Socket>, [u8; COOKIE_LEN]),
}

/// What a queue takes of its maker's RLIMIT_MSGQUEUE.
#[derive(Debug)]
struct Charge {
    user: u32,
    bytes: u64,
}

impl Queue {
    /// An empty queue with the given attributes, or with those of default.
    ///
    /// # Errors
    /// EINVAL for attributes that the maker may not have, EMFILE if RLIMIT_MSGQUEUE is used up, ENOMEM.
    pub fn new(wanted: Option<mq_attr>, maker: &Process) -> Result<Arc<Self>> {
        let credentials = maker.credentials();
        let (messages, size) = match wanted {
            Some(wanted) => (wanted.mq_maxmsg, wanted.mq_msgsize),
            None => (MESSAGES_DEFAULT, SIZE_DEFAULT),
        };
        let (messages_max, size_max) = match credentials.has(Capability::SysResource) {
            true => (MESSAGES_LIMIT, SIZE_LIMIT),
            false => (MESSAGES_DEFAULT, SIZE_DEFAULT),
        };
        if !(1..=messages_max).contains(&messages) || !(1..=size_max).contains(&size) {
            return Err(Errno::EINVAL.into());
        }
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let (messages, size) = (messages.unsigned_abs(), size.unsigned_abs());
        let bytes =
            messages * (size + MESSAGE_OVERHEAD) + messages.min(u64::from(PRIORITIES)) * PRIORITY_OVERHEAD;
        let charge = Charge::take(&credentials, bytes, maker.rlimit(Resource::MessageQueues).0)?;
        Ok(Arc::new(Self {
            messages_max: messages as usize,
            size_max: size as usize,
            state: SpinLock::default(),
            arrived: WaitQueue::new(),
            room: WaitQueue::new(),
            pollee: Pollee::new(),
            _charge: charge,
        }))
    }

    /// Bytes of a message at most.
    pub fn size_max(&self) -> usize {
        self.size_max
    }

    /// mq_getattr(3), without flags.
    pub fn attributes(&self) -> mq_attr {
        mq_attr {
            mq_maxmsg: self.messages_max as i64,
            mq_msgsize: self.size_max as i64,
            mq_curmsgs: self.state.lock().messages.len() as i64,
            ..mq_attr::default()
        }
    }

    /// mq_send(3): adds a message of [`Self::size_max`] bytes at most, waiting for room until `deadline_ns` (monotonic) if `may_wait`.
    ///
    /// # Errors
    /// EAGAIN, ETIMEDOUT, ENOMEM; ERESTARTSYS on a signal.
    pub fn send(
        &self,
        message: Vec<u8>,
        priority: u32,
        may_wait: bool,
        deadline_ns: Option<u64>,
        sender: &Process,
    ) -> Result<()> {
        let mut message = Some(message);
        let mut registration = None;
        let mut attempt = || {
            let mut state = self.state.lock();
            if state.messages.len() >= self.messages_max {
                return None;
            }
            if ostd::mm::is_exhausted() {
                return Some(Err(Error::new(Errno::ENOMEM)));
            }
            let message = message.take()?;
            if state.messages.is_empty() && state.receivers == 0 {
                registration = state.registration.take();
            }
            state.bytes += message.len();
            state.arrivals += 1;
            let place = (Reverse(priority), state.arrivals);
            state.messages.insert(place, message);
            Some(Ok(()))
        };
        match attempt() {
            Some(result) => result?,
            None if !may_wait => return Err(Errno::EAGAIN.into()),
            None => wait::wait_until(&self.room, deadline_ns, attempt)??,
        }
        self.arrived.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        if let Some(registration) = registration {
            registration.tell(sender);
        }
        Ok(())
    }

    /// mq_receive(3): takes the oldest of the messages with the highest priority, and says that.
    ///
    /// # Errors
    /// EAGAIN, ETIMEDOUT; ERESTARTSYS on a signal.
    pub fn receive(&self, may_wait: bool, deadline_ns: Option<u64>) -> Result<(Vec<u8>, u32)> {
        let attempt = || {
            let mut state = self.state.lock();
            let ((Reverse(priority), _), message) = state.messages.pop_first()?;
            state.bytes -= message.len();
            Some((message, priority))
        };
        let taken = match attempt() {
            Some(taken) => taken,
            None if !may_wait => return Err(Errno::EAGAIN.into()),
            None => {
                self.state.lock().receivers += 1;
                let taken = wait::wait_until(&self.arrived, deadline_ns, attempt);
                self.state.lock().receivers -= 1;
                taken?
            }
        };
        self.room.wake_all();
        self.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
        Ok(taken)
    }

    /// Registers `owner` to be told.
    ///
    /// # Errors
    /// EBUSY if a process is registered.
    pub fn register(&self, owner: &Arc<Process>, notice: Notice) -> Result<()> {
        let mut state = self.state.lock();
        // One that has ended without closing is gone as well.
        if state.registration.as_ref().is_some_and(|old| old.owner.strong_count() > 0) {
            return Err(Errno::EBUSY.into());
        }
        let old = state.registration.replace(Registration { owner: Arc::downgrade(owner), notice });
        drop(state);
        drop(old);
        Ok(())
    }

    /// Takes the registration of `owner` back, if there is one.
    pub fn unregister(&self, owner: &Arc<Process>) {
        let mut state = self.state.lock();
        let is_own =
            |registration: &mut Registration| core::ptr::eq(registration.owner.as_ptr(), Arc::as_ptr(owner));
        let old = state.registration.take_if(is_own);
        drop(state);
        if let Some(Registration { notice: Notice::Socket(socket, cookie), .. }) = old {
            deliver(&socket, cookie, COOKIE_REMOVED);
        }
    }

    /// What is ready now.
    pub fn events(&self) -> IoEvents {
        let len = self.state.lock().messages.len();
        let mut events = IoEvents::empty();
        if len > 0 {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if len < self.messages_max {
            events |= IoEvents::OUT | IoEvents::WRNORM;
        }
        events
    }

    /// Who hears of changes.
    pub fn pollee(&self) -> &Pollee {
        &self.pollee
    }

    /// What reading the queue's file shows (mq_overview(7)), to a process of `reader`'s pid namespace.
    pub fn show(&self, text: &mut Text, reader: &Process) {
        let state = self.state.lock();
        let bytes = state.bytes;
        let (kind, signal, pid) = state.registration.as_ref().map_or((0, 0, 0), |registration| {
            let (kind, signal) = match &registration.notice {
                Notice::Nothing => (SIGEV_NONE, 0),
                Notice::Signal(signal, _) => (SIGEV_SIGNAL, signal.number()),
                Notice::Socket(..) => (SIGEV_THREAD, 0),
            };
            let owner = registration.owner.upgrade();
            (kind, signal, owner.map_or(0, |owner| owner.id().number_in(reader.pid_namespace())))
        });
        drop(state);
        text.add(format_args!("QSIZE:{bytes:<10} NOTIFY:{kind:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n"));
    }
}

impl Registration {
    fn tell(self, sender: &Process) {
        match self.notice {
            Notice::Nothing => {}
            Notice::Signal(signal, value) => {
                let Some(owner) = self.owner.upgrade() else { return };
                let fields = SigFields::Sender { pid: sender.pid(), uid: sender.credentials().uid[0], value };
                // A full queue of signals loses it: it could not be told later either.
                let _ = send::to_process(&owner, SigInfo { signal, code: SI_MESGQ, fields });
            }
            Notice::Socket(socket, cookie) => deliver(&socket, cookie, COOKIE_WOKEN),
        }
    }
}

impl Notice {
    /// By a socket, which has to be one of netlink(7).
    ///
    /// # Errors
    /// EBADF for another.
    pub fn by_socket(socket: Arc<dyn Socket>, cookie: [u8; COOKIE_LEN]) -> Result<Self> {
        if netlink(&socket).is_some() { Ok(Self::Socket(socket, cookie)) } else { Err(Errno::EBADF.into()) }
    }
}

fn netlink(socket: &Arc<dyn Socket>) -> Option<&NetlinkSocket> {
    let socket: &dyn Any = &**socket;
    socket.downcast_ref()
}

fn deliver(socket: &Arc<dyn Socket>, mut cookie: [u8; COOKIE_LEN], what: u8) {
    cookie[COOKIE_LEN - 1] = what;
    if let Some(socket) = netlink(socket) {
        socket.deliver(Datagram::from_kernel(Vec::from(cookie), 0));
    }
}

impl Charge {
    fn take(credentials: &Credentials, bytes: u64, limit: u64) -> Result<Self> {
        let user = credentials.uid[0];
        let mut charges = CHARGES.lock();
        // Who is refused leaves nothing behind.
        let sum = charges.get(&user).map_or(bytes, |taken| taken.saturating_add(bytes));
        if sum > limit {
            return Err(Error::with(Errno::EMFILE, "more than RLIMIT_MSGQUEUE in message queues"));
        }
        charges.insert(user, sum);
        Ok(Self { user, bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut charges = CHARGES.lock();
        if let Some(taken) = charges.get_mut(&self.user) {
            *taken -= self.bytes;
            if *taken == 0 {
                charges.remove(&self.user);
            }
        }
    }
}
