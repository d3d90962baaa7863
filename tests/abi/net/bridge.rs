//! Namespaces on one bridge.

use super::lab::{Namespace, passes};
use crate::case::{Outcome, cases, check, check_eq};

cases!("net":
    a_bridge_carries_between_its_ports,
    a_bridge_is_a_port_of_its_own,
    ports_that_left_are_reached_no_more,
    a_bridge_is_not_moved_but_deleted,
);

/// A bridge `br0` with the address 10.9.3.1, and hosts 10.9.3.2 and 10.9.3.3 on it.
fn bridged() -> Outcome<(Namespace, [Namespace; 2])> {
    let mut host = Namespace::new()?;
    host.make("br0", "bridge", &[])?;
    host.address("br0", [10, 9, 3, 1], 24)?;
    let mut guests = [Namespace::new()?, Namespace::new()?];
    for ((guest, name), last) in guests.iter_mut().zip(["port0", "port1"]).zip([2, 3]) {
        host.cable(name, guest, "eth0")?;
        host.plug(name, "br0")?;
        host.set_up(name)?;
        guest.address("eth0", [10, 9, 3, last], 24)?;
    }
    Ok((host, guests))
}

fn a_bridge_carries_between_its_ports() -> Outcome {
    let (_host, [a, b]) = bridged()?;
    let (near, far) = (a.socket([0; 4], 1000)?, b.socket([0; 4], 2000)?);
    for _ in 0..3 {
        check_eq!(passes(&near, &far, [10, 9, 3, 3], b"there")?, [10, 9, 3, 2]);
        check_eq!(passes(&far, &near, [10, 9, 3, 2], &[3; 5000])?, [10, 9, 3, 3]);
    }
    Ok(())
}

fn a_bridge_is_a_port_of_its_own() -> Outcome {
    let (host, [a, _b]) = bridged()?;
    let (near, far) = (host.socket([0; 4], 1000)?, a.socket([0; 4], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 3, 2], b"there")?, [10, 9, 3, 1]);
    check_eq!(passes(&far, &near, [10, 9, 3, 1], b"and back")?, [10, 9, 3, 2]);
    Ok(())
}

fn ports_that_left_are_reached_no_more() -> Outcome {
    let (mut host, [a, b]) = bridged()?;
    let (near, far) = (a.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    passes(&near, &far, [10, 9, 3, 3], b"there")?;
    check_eq!(host.change("port1", libc::IFLA_MASTER, &0_u32.to_ne_bytes())?, 0);
    check!(passes(&near, &far, [10, 9, 3, 3], b"there").is_err());
    host.plug("port1", "br0")?;
    passes(&near, &far, [10, 9, 3, 3], b"there again")?;
    Ok(())
}

fn a_bridge_is_not_moved_but_deleted() -> Outcome {
    let (mut host, [a, _b]) = bridged()?;
    check_eq!(host.give("br0", &a)?, libc::EINVAL);
    host.delete("br0")?;
    check!(!host.has("br0") && host.has("port0"));
    Ok(())
}
