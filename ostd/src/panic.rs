//! The end of the road: prints the message, a backtrace of addresses and the image hash, stops the other CPUs and
//! powers off with [`crate::power::Exit::Panic`].
