//! Signal numbers and sets of them (signal(7)).

use core::fmt;

/// A signal's number, 1..=64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident $number:literal)*) => {
        #[expect(dead_code, reason = "the list is complete, whoever uses it")]
        impl Signal { $(pub const $name: Self = Self($number);)* }

        impl fmt::Debug for Signal {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($number => f.write_str(concat!("SIG", stringify!($name))),)*
                    number => write!(f, "SIGRT{number}"),
                }
            }
        }
    };
}

signals! {
    HUP 1 INT 2 QUIT 3 ILL 4 TRAP 5 ABRT 6 BUS 7 FPE 8 KILL 9 USR1 10 SEGV 11 USR2 12 PIPE 13 ALRM 14 TERM 15 STKFLT 16 CHLD 17
    CONT 18 STOP 19 TSTP 20 TTIN 21 TTOU 22 URG 23 XCPU 24 XFSZ 25 VTALRM 26 PROF 27 WINCH 28 IO 29 PWR 30 SYS 31
}

impl Signal {
    /// The signal with this number; `None` outside of 1..=64.
    pub const fn new(number: i32) -> Option<Self> {
        if 1 <= number && number <= 64 { Some(Self(number as u8)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Whether several of it queue.
    pub const fn is_real_time(self) -> bool {
        self.0 >= 32
    }

    /// What it does by default.
    pub fn default_action(self) -> DefaultAction {
        match self {
            Self::CHLD | Self::URG | Self::WINCH => DefaultAction::Ignore,
            Self::CONT => DefaultAction::Continue,
            Self::STOP | Self::TSTP | Self::TTIN | Self::TTOU => DefaultAction::Stop,
            Self::QUIT | Self::ILL | Self::TRAP | Self::ABRT | Self::BUS | Self::FPE | Self::SEGV => {
                DefaultAction::Core
            }
            Self::XCPU | Self::XFSZ | Self::SYS => DefaultAction::Core,
            _ => DefaultAction::Terminate,
        }
    }
}

/// The default dispositions of signal(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process; its status says that a core was wanted. (We write none. COMPAT: the "dumped" bit stays clear, as with RLIMIT_CORE 0.)
    Core,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues it.
    Continue,
}

/// A set of signals; bit `n - 1` is signal `n`, as in the ABI.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SigSet(pub u64);

impl SigSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// Those that cannot be blocked, caught or ignored.
    pub const UNMASKABLE: Self = Self::of(&[Signal::KILL, Signal::STOP]);
    /// Those that stop a process by default.
    pub const STOPS: Self = Self::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    /// Those that exceptions raise; they are taken before others.
    pub const SYNCHRONOUS: Self =
        Self::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);

    /// The set of these.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << (signals[i].0 - 1);
            i += 1;
        }
        Self(bits)
    }

    /// A mask as user space gives it: without those that cannot be blocked.
    pub const fn mask(bits: u64) -> Self {
        Self(bits & !Self::UNMASKABLE.0)
    }

    /// Whether `signal` is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << (signal.0 - 1)) != 0
    }

    /// With `signal`.
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << (signal.0 - 1))
    }

    /// Without those of `other`.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The lowest signal in it.
    pub const fn first(self) -> Option<Signal> {
        if self.0 == 0 { None } else { Some(Signal(self.0.trailing_zeros() as u8 + 1)) }
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
