//! Network namespaces (network_namespaces(7)).

use std::net::UdpSocket;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::case::{Failure, Outcome, cases, check_eq};
use crate::child;

cases!("namespaces":
    one_thread_moves_alone_and_takes_its_children_along,
);

/// What connecting to the loopback address says: its link is down in a new namespace.
fn loopback() -> Result<(), Option<i32>> {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.raw_os_error())?;
    socket.connect("127.0.0.1:9").map_err(|error| error.raw_os_error())
}

fn one_thread_moves_alone_and_takes_its_children_along() -> Outcome {
    const UNREACHABLE: Result<(), Option<i32>> = Err(Some(Errno::ENETUNREACH as i32));
    check_eq!(loopback(), Ok(()));
    let alone = thread::spawn(|| -> Outcome {
        unshare(CloneFlags::CLONE_NEWNET)?;
        check_eq!(loopback(), UNREACHABLE);
        check_eq!(thread::spawn(loopback).join().map_err(|_| Failure::wrong("panicked"))?, UNREACHABLE);
        child::passes(|| {
            check_eq!(loopback(), UNREACHABLE);
            Ok(())
        })
    });
    alone.join().map_err(|_| Failure::wrong("panicked"))??;
    check_eq!(loopback(), Ok(()));
    Ok(())
}
