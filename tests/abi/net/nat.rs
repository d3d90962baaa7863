//! Address translation: Coffer's own, controlled by /proc/net/coffer/nat. Skipped where there is no such file: Linux has other means.

use std::fs;
use std::net::Ipv4Addr;

use super::lab::{Namespace, passes, routed, told};
use crate::case::{Outcome, cases, check, check_eq, check_fails, skip};

cases!("net":
    rules_are_added_and_taken_away,
    rules_need_a_capability_and_sense,
    what_leaves_is_masqueraded,
    masquerading_spares_the_ports_of_sockets,
    published_ports_lead_inside,
    a_published_port_is_there_for_its_own_machine,
    dropped_ways_are_closed,
    errors_from_outside_come_back_inside,
);

const FILE: &str = "/proc/self/net/coffer/nat";

/// Changes the rules of a namespace.
fn control(namespace: &Namespace, line: &str) -> Outcome {
    namespace.enter(|| {
        if fs::metadata(FILE).is_err() {
            skip!("this kernel has no {FILE}");
        }
        Ok(fs::write(FILE, line)?)
    })
}

fn rules_are_added_and_taken_away() -> Outcome {
    let namespace = Namespace::new()?;
    let rules = "masquerade 10.1.0.0/16 !br0\npublish tcp 0.0.0.0:80 10.1.0.2:8080\ndrop br0 br1\n";
    for rule in rules.lines() {
        control(&namespace, &format!("add {rule}\n"))?;
    }
    let shown = || namespace.enter(|| Ok(fs::read_to_string(FILE)?));
    check_eq!(shown()?, rules);
    namespace.enter(|| {
        check_fails!(fs::write(FILE, "add drop br0 br1"), EEXIST);
        check_fails!(fs::write(FILE, "del drop br1 br0"), ENOENT);
        Ok(())
    })?;
    control(&namespace, "del masquerade 10.1.0.0/16 !br0\ndel drop br0 br1\n")?;
    check_eq!(shown()?, "publish tcp 0.0.0.0:80 10.1.0.2:8080\n");
    check_eq!(Namespace::new()?.enter(|| Ok(fs::read_to_string(FILE)?))?, "");
    Ok(())
}

fn rules_need_a_capability_and_sense() -> Outcome {
    let namespace = Namespace::new()?;
    control(&namespace, "")?;
    namespace.enter(|| {
        for line in ["add", "drop a b", "add masquerade 10.0.0.0/8 br0", "add publish tcp 1.2.3.4 5.6.7.8:1"]
        {
            check_fails!(fs::write(FILE, line), EINVAL);
        }
        crate::child::passes(|| {
            let file = fs::OpenOptions::new().write(true).open(FILE)?;
            nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
            check_fails!(std::io::Write::write(&mut &file, b"add drop a b"), EPERM);
            Ok(())
        })
    })
}

fn what_leaves_is_masqueraded() -> Outcome {
    let [a, router, b] = routed()?;
    router.forward()?;
    control(&router, "add masquerade 10.9.1.0/24 !left")?;
    let (near, far) = (a.socket([0; 4], 5000)?, b.socket([0; 4], 2000)?);
    check_eq!(passes(&near, &far, [10, 9, 2, 2], b"who am I")?, [10, 9, 2, 1]);
    // The same port, as it was free; the answer finds its way.
    far.send_to(b"you", (Ipv4Addr::new(10, 9, 2, 1), 5000))?;
    let mut answer = [0; 8];
    let (len, sender) = near.recv_from(&mut answer)?;
    check_eq!((&answer[..len], sender.to_string().as_str()), (&b"you"[..], "10.9.2.2:2000"));
    // Long ones too.
    check_eq!(passes(&near, &far, [10, 9, 2, 2], &[9; 9000])?, [10, 9, 2, 1]);
    // Who begins outside is answered under the address that it knows.
    let other = b.socket([0; 4], 2001)?;
    let inside = a.socket([0; 4], 5001)?;
    check_eq!(passes(&other, &inside, [10, 9, 1, 2], b"hello")?, [10, 9, 2, 2]);
    inside.send_to(b"hello", (Ipv4Addr::new(10, 9, 2, 2), 2001))?;
    check_eq!(other.recv_from(&mut answer)?.1.to_string(), "10.9.1.2:5001");
    Ok(())
}

fn masquerading_spares_the_ports_of_sockets() -> Outcome {
    let [a, router, b] = routed()?;
    router.forward()?;
    control(&router, "add masquerade 10.9.1.0/24 !left")?;
    let (near, far) = (a.socket([0; 4], 5000)?, b.socket([0; 4], 2000)?);
    let own = router.socket([0; 4], 5000)?;
    far.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
    own.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
    near.send_to(b"from inside", (Ipv4Addr::new(10, 9, 2, 2), 2000))?;
    let mut bytes = [0; 16];
    let (_, sender) = far.recv_from(&mut bytes)?;
    check!(sender.ip() == Ipv4Addr::new(10, 9, 2, 1) && sender.port() != 5000, "it left from {sender}");
    // What is sent to the router's own socket arrives there, and the answer inside.
    far.send_to(b"to the router", (Ipv4Addr::new(10, 9, 2, 1), 5000))?;
    check_eq!(own.recv_from(&mut bytes)?.0, 13);
    far.send_to(b"inside", sender)?;
    check_eq!(near.recv_from(&mut bytes)?.0, 6);
    Ok(())
}

fn published_ports_lead_inside() -> Outcome {
    let [a, router, b] = routed()?;
    router.forward()?;
    control(&router, "add publish udp 0.0.0.0:53 10.9.1.2:5300")?;
    let inside = a.socket([0; 4], 5300)?;
    let outside = b.socket([0; 4], 0)?;
    outside.connect((Ipv4Addr::new(10, 9, 2, 1), 53))?;
    outside.send(b"question")?;
    let mut bytes = [0; 16];
    let (len, sender) = inside.recv_from(&mut bytes)?;
    check_eq!((len, sender.ip().to_string().as_str()), (8, "10.9.2.2"));
    inside.send_to(b"answer", sender)?;
    // A connected socket takes it only from the address that it asked.
    check_eq!(outside.recv(&mut bytes)?, 6);

    control(&router, "del publish udp 0.0.0.0:53 10.9.1.2:5300")?;
    outside.send(b"again")?;
    check_eq!(told(&outside), Some(libc::ECONNREFUSED));
    Ok(())
}

fn a_published_port_is_there_for_its_own_machine() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    control(&router, "add publish udp 0.0.0.0:53 10.9.1.2:5300")?;
    let inside = a.socket([0; 4], 5300)?;
    for address in [[127, 0, 0, 1], [10, 9, 2, 1], [10, 9, 1, 1]] {
        let socket = router.socket([0; 4], 0)?;
        socket.connect((Ipv4Addr::from(address), 53))?;
        socket.send(b"question")?;
        let mut bytes = [0; 16];
        let (_, sender) = inside.recv_from(&mut bytes)?;
        check!(!sender.ip().is_loopback(), "a loopback sender cannot be answered");
        inside.send_to(b"answer", sender)?;
        check_eq!(socket.recv(&mut bytes)?, 6);
    }
    // And for the target itself, by the machine's address.
    let own = a.socket([0; 4], 0)?;
    own.connect((Ipv4Addr::new(10, 9, 1, 1), 53))?;
    own.send(b"question")?;
    let mut bytes = [0; 16];
    let (_, sender) = inside.recv_from(&mut bytes)?;
    check_eq!(sender.ip().to_string(), "10.9.1.1");
    inside.send_to(b"answer", sender)?;
    check_eq!(own.recv(&mut bytes)?, 6);
    Ok(())
}

fn dropped_ways_are_closed() -> Outcome {
    let [a, router, b] = routed()?;
    router.forward()?;
    let (near, far) = (a.socket([0; 4], 1000)?, b.socket([0; 4], 2000)?);
    passes(&near, &far, [10, 9, 2, 2], b"open")?;
    control(&router, "add drop left right")?;
    check!(passes(&near, &far, [10, 9, 2, 2], b"closed").is_err());
    passes(&far, &near, [10, 9, 1, 2], b"the other way is open")?;
    control(&router, "del drop left right")?;
    passes(&near, &far, [10, 9, 2, 2], b"open again")?;
    Ok(())
}

fn errors_from_outside_come_back_inside() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    control(&router, "add masquerade 10.9.1.0/24 !left")?;
    let socket = a.socket([0; 4], 0)?;
    socket.connect((Ipv4Addr::new(10, 9, 2, 2), 9))?;
    socket.send(b"x")?;
    check_eq!(told(&socket), Some(libc::ECONNREFUSED));
    Ok(())
}
