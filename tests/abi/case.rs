//! What a case is, how it fails, and the checks it is written with.

use std::panic::Location;

/// One case: `area/what_it_shows` and the function that shows it.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub run: fn() -> Outcome,
}

/// `Ok` when the kernel did what Linux does.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The kernel did something else.
    Wrong(String),
    /// The machine lacks what the case is about (a device, a privilege), on Linux as well.
    Skipped(String),
}

impl Failure {
    #[track_caller]
    pub fn wrong(what: impl std::fmt::Display) -> Self {
        let here = Location::caller();
        Self::Wrong(format!("{what} ({}:{})", here.file(), here.line()))
    }
}

/// Lets `?` turn any error into a failure that names its line.
impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::wrong(error)
    }
}

/// Names the cases of a file: `cases!("area": function, …)`.
macro_rules! cases {
    ($area:literal: $($function:ident),+ $(,)?) => {
        pub const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            name: concat!($area, "/", stringify!($function)),
            run: $function,
        }),+];
    };
}

/// Fails the case unless the condition holds; the rest of the arguments are a message.
macro_rules! check {
    ($condition:expr) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::case::Failure::wrong(concat!("not true: ", stringify!($condition))));
        }
    };
    ($condition:expr, $($message:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::case::Failure::wrong(format!($($message)+)));
        }
    };
}

/// Fails the case unless both sides are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    let text = stringify!($left);
                    return Err($crate::case::Failure::wrong(format!("{text} is {left:?}, not {right:?}")));
                }
            }
        }
    };
}

/// Fails the case unless the call fails with this error number; takes nix's, std's and raw results.
macro_rules! check_fails {
    ($call:expr, $errno:ident) => {
        match $call {
            Ok(_) => {
                let text = concat!(stringify!($call), " succeeded instead of ", stringify!($errno));
                return Err($crate::case::Failure::wrong(text));
            }
            Err(error) => {
                let number = $crate::case::Numbered::number(&error);
                if number != nix::errno::Errno::$errno {
                    let text = stringify!($call);
                    return Err($crate::case::Failure::wrong(format!(
                        "{text} failed with {number:?} instead of {}",
                        stringify!($errno)
                    )));
                }
            }
        }
    };
}

/// Gives the case up as not applicable to this machine.
macro_rules! skip {
    ($($message:tt)+) => {
        return Err($crate::case::Failure::Skipped(format!($($message)+)))
    };
}

pub(crate) use {cases, check, check_eq, check_fails, skip};

/// Errors that carry an error number.
pub trait Numbered {
    fn number(&self) -> nix::errno::Errno;
}

impl Numbered for nix::errno::Errno {
    fn number(&self) -> nix::errno::Errno {
        *self
    }
}

impl Numbered for std::io::Error {
    fn number(&self) -> nix::errno::Errno {
        nix::errno::Errno::from_raw(self.raw_os_error().unwrap_or(0))
    }
}
