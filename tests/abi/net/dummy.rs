//! Dummy links: addresses that are there whatever happens, and a way to nowhere.

use std::fs;
use std::net::Ipv4Addr;

use super::lab::{Namespace, passes};
use crate::case::{Failure, Outcome, cases, check, check_eq};

cases!("net":
    a_dummy_link_has_addresses_and_swallows_the_rest,
    a_dummy_link_is_moved_and_deleted,
);

/// The column of a link in /proc/net/dev.
fn counter(namespace: &Namespace, link: &str, column: usize) -> Outcome<u64> {
    namespace.enter(|| {
        let text = fs::read_to_string("/proc/self/net/dev")?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{link}:")));
        let number = line.and_then(|line| line.split_whitespace().nth(column)).map(str::parse);
        number.and_then(Result::ok).ok_or_else(|| Failure::wrong(format!("no such column in {text}")))
    })
}

fn a_dummy_link_has_addresses_and_swallows_the_rest() -> Outcome {
    const SENT_PACKETS: usize = 9;
    let mut host = Namespace::new()?;
    host.make("keep0", "dummy", &[])?;
    host.address("keep0", [10, 9, 4, 1], 24)?;
    let (near, far) = (host.socket([10, 9, 4, 1], 1000)?, host.socket([10, 9, 4, 1], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 4, 1], b"here")?, [10, 9, 4, 1]);
    let before = counter(&host, "keep0", SENT_PACKETS)?;
    for _ in 0..5 {
        check_eq!(near.send_to(b"gone", (Ipv4Addr::new(10, 9, 4, 9), 9))?, 4);
    }
    check_eq!(counter(&host, "keep0", SENT_PACKETS)? - before, 5);
    check_eq!(counter(&host, "keep0", 1)?, 0);
    check_eq!(host.change("keep0", libc::IFLA_MTU, &9000_u32.to_ne_bytes())?, 0);
    Ok(())
}

fn a_dummy_link_is_moved_and_deleted() -> Outcome {
    let (mut host, mut guest) = (Namespace::new()?, Namespace::new()?);
    host.make("keep0", "dummy", &[])?;
    check_eq!(host.give("keep0", &guest)?, 0);
    check!(!host.has("keep0") && guest.has("keep0"), "it is not where it was sent");
    guest.address("keep0", [10, 9, 4, 1], 24)?;
    guest.delete("keep0")?;
    check!(!guest.has("keep0"), "it is still there");
    Ok(())
}
