//! Two namespaces with a router between them.

use super::lab::{connect, passes, routed, set_option, told};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("net":
    a_router_passes_on_what_it_may,
    a_namespace_is_no_router_unless_told,
    a_router_ends_what_has_lived_too_long,
    a_router_says_what_would_fit,
    a_router_knows_where_nothing_is,
);

fn a_router_passes_on_what_it_may() -> Outcome {
    let [a, router, b] = routed()?;
    router.forward()?;
    let (near, far) = (a.socket([0; 4], 1000)?, b.socket([0; 4], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 2, 2], b"there")?, [10, 9, 1, 2]);
    check_eq!(passes(&far, &near, [10, 9, 1, 2], &[1; 30_000])?, [10, 9, 2, 2]);
    Ok(())
}

fn a_namespace_is_no_router_unless_told() -> Outcome {
    let [a, router, b] = routed()?;
    let value = router.enter(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?))?;
    check_eq!(value, "0\n");
    let (near, far) = (a.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    check!(passes(&near, &far, [10, 9, 2, 2], b"there").is_err());
    // The far side of the router is the router's own, though.
    let own = router.socket([0; 4], 3000)?;
    check_eq!(passes(&near, &own, [10, 9, 2, 1], b"you")?, [10, 9, 1, 2]);
    Ok(())
}

fn a_router_ends_what_has_lived_too_long() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    let socket = a.socket([0; 4], 0)?;
    socket.set_ttl(1)?;
    connect(&socket, [10, 9, 2, 2], 9)?;
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::EHOSTUNREACH));
    socket.set_ttl(2)?;
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::ECONNREFUSED));
    Ok(())
}

fn a_router_says_what_would_fit() -> Outcome {
    let [a, mut router, b] = routed()?;
    router.forward()?;
    router.set_mtu("right", 1000)?;
    let (near, far) = (a.socket([0; 4], 0)?, b.socket([0; 4], 2000)?);
    set_option(&near, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
    connect(&near, [10, 9, 2, 2], 2000)?;
    near.send(&[7; 1400])?;
    check_eq!(told(&near), Some(libc::EMSGSIZE));
    check_fails!(near.send(&[7; 1400]), EMSGSIZE);
    near.send(&[7; 972])?;
    let mut received = [0; 2000];
    check_eq!(far.recv(&mut received)?, 972);
    Ok(())
}

fn a_router_knows_where_nothing_is() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    let socket = a.socket([0; 4], 0)?;
    connect(&socket, [10, 77, 0, 1], 9)?;
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::ENETUNREACH));
    Ok(())
}
