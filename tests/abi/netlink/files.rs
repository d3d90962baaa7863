//! What the older interfaces tell of the same: /proc/net, /sys/class/net, ioctl(2), and sock_diag(7) of sockets that are there.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::sched::{CloneFlags, unshare};

use super::conversation::{HEAD, Netlink, link_head};
use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails, skip};
use crate::child;

cases!("netlink":
    tables_of_links_and_routes_are_of_the_namespace,
    a_listener_is_in_the_table_and_in_the_list,
    a_datagram_socket_is_in_the_table,
    unix_sockets_are_listed_with_their_names,
    abstract_names_stay_in_their_namespace,
    sysfs_tells_of_loopback,
    addresses_of_links_are_found_by_the_c_library,
    requests_by_name_tell_of_a_link,
    settings_of_the_network_read_back,
);

fn read(path: &str) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| Failure::wrong(format!("{path}: {error}")))
}

fn fresh() -> Outcome {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let mut netlink = Netlink::open(libc::NETLINK_ROUTE)?;
    let up = libc::IFF_UP as u32;
    check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &link_head(1, up, up))?, 0);
    Ok(())
}

fn inode_of(socket: &impl std::os::fd::AsRawFd) -> Outcome<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()))?;
    let name = link.to_string_lossy().into_owned();
    let number = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::wrong(format!("{name} names no socket")))
}

fn tables_of_links_and_routes_are_of_the_namespace() -> Outcome {
    fresh()?;
    let dev = read("/proc/net/dev")?;
    check!(dev.lines().any(|line| line.trim_start().starts_with("lo:")), "no lo in {dev}");
    check_eq!(dev.lines().nth(2).map(|line| line.split_whitespace().count()), Some(17));
    let route = read("/proc/net/route")?;
    check_eq!((route.len(), route.lines().count()), (128, 1));
    check!(read("/proc/net/arp")?.starts_with("IP address       HW type"));
    check!(read("/proc/net/netlink")?.starts_with("sk               Eth Pid"));
    check!(read("/proc/net/snmp")?.contains("Tcp: RtoAlgorithm"));
    check!(read("/proc/net/sockstat")?.starts_with("sockets: used"));
    Ok(())
}

fn a_listener_is_in_the_table_and_in_the_list() -> Outcome {
    fresh()?;
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    let inode = inode_of(&listener)?;
    let tcp = read("/proc/net/tcp")?;
    let line = tcp.lines().nth(1).ok_or_else(|| Failure::wrong(format!("no line in {tcp:?}")))?;
    check_eq!(line.len(), 149);
    let words: Vec<_> = line.split_whitespace().collect();
    check_eq!(&words[..4], ["0:", "0100007F:1F90", "00000000:0000", "0A"]);
    check_eq!((words[7], words[9]), ("0", inode.to_string().as_str()));

    let mut diag = Netlink::open(libc::NETLINK_SOCK_DIAG)?;
    let mut wanted = vec![0_u8; 56];
    (wanted[0], wanted[1]) = (libc::AF_INET as u8, libc::IPPROTO_TCP as u8);
    wanted[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    let heard = diag.ask(20, libc::NLM_F_DUMP, &wanted, 16384)?;
    if heard[0].kind == libc::NLMSG_ERROR as u16 {
        skip!("this kernel cannot be asked about TCP");
    }
    check_eq!((heard.len(), heard[0].kind), (2, 20));
    let found = &heard[0].payload;
    check_eq!(&found[..2], [libc::AF_INET as u8, 10]);
    check_eq!(&found[4..6], 8080_u16.to_be_bytes());
    check_eq!(&found[8..12], [127, 0, 0, 1]);
    check_eq!(&found[68..72], (inode as u32).to_ne_bytes());
    check!(heard[0].payload.len() >= 72 && HEAD == 16);
    // Of IPv6 there is nothing, and that is no error.
    wanted[0] = libc::AF_INET6 as u8;
    check_eq!(diag.ask(20, libc::NLM_F_DUMP, &wanted, 16384)?.len(), 1);
    Ok(())
}

fn a_datagram_socket_is_in_the_table() -> Outcome {
    fresh()?;
    let socket = UdpSocket::bind("127.0.0.1:5353")?;
    let udp = read("/proc/net/udp")?;
    let words: Vec<_> = udp.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    check_eq!(words.get(1..4), Some(&["0100007F:14E9", "00000000:0000", "07"][..]));
    check_eq!(words.get(9), Some(&inode_of(&socket)?.to_string().as_str()));
    Ok(())
}

fn unix_sockets_are_listed_with_their_names() -> Outcome {
    fresh()?;
    let listener = UnixListener::bind("listed")?;
    let client = UnixStream::connect("listed")?;
    let unix = read("/proc/net/unix")?;
    let line = unix.lines().find(|line| line.ends_with(" listed") && line.contains(" 00010000 "));
    let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    check_eq!(
        words.get(3..8),
        Some(&["00010000", "0001", "01", inode_of(&listener)?.to_string().as_str(), "listed"][..])
    );
    let own = inode_of(&client)?.to_string();
    check!(unix.lines().any(|line| line.split_whitespace().nth(6) == Some(&own)), "no {own} in {unix}");
    Ok(())
}

fn abstract_names_stay_in_their_namespace() -> Outcome {
    fresh()?;
    let address = SocketAddr::from_abstract_name("only here")?;
    let _listener = UnixListener::bind_addr(&address)?;
    child::passes(|| {
        fresh()?;
        check_fails!(UnixStream::connect_addr(&address), ECONNREFUSED);
        UnixListener::bind_addr(&address)?;
        Ok(())
    })?;
    UnixStream::connect_addr(&address)?;
    Ok(())
}

fn sysfs_tells_of_loopback() -> Outcome {
    let value = |name: &str| read(&format!("/sys/class/net/lo/{name}"));
    check_eq!(value("address")?, "00:00:00:00:00:00\n");
    check_eq!(value("ifindex")?, "1\n");
    check_eq!(value("mtu")?, "65536\n");
    check_eq!(value("type")?, "772\n");
    check!(value("flags")?.starts_with("0x"));
    check!(value("statistics/rx_bytes")?.trim().parse::<u64>().is_ok());
    check!(std::fs::read_dir("/sys/class/net")?.flatten().any(|entry| entry.file_name() == "lo"));
    check_fails!(std::fs::metadata("/sys/class/net/nothing"), ENOENT);
    Ok(())
}

fn addresses_of_links_are_found_by_the_c_library() -> Outcome {
    fresh()?;
    let found = nix::ifaddrs::getifaddrs()?.any(|link| {
        let address = link.address.and_then(|address| address.as_sockaddr_in().map(|address| address.ip()));
        link.interface_name == "lo" && address == Some(std::net::Ipv4Addr::LOCALHOST)
    });
    check!(found);
    check_eq!(nix::net::if_::if_nametoindex("lo")?, 1);
    check_fails!(nix::net::if_::if_nametoindex("nothing"), ENODEV);
    Ok(())
}

fn requests_by_name_tell_of_a_link() -> Outcome {
    fresh()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let ask = |command: libc::c_ulong, name: &str| -> nix::Result<[u8; 24]> {
        let mut request = [0_u8; 40];
        request[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: the request is as long as a struct ifreq.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), command as libc::Ioctl, request.as_mut_ptr()) };
        nix::errno::Errno::result(result)?;
        Ok(std::array::from_fn(|at| request[16 + at]))
    };
    check_eq!(ask(libc::SIOCGIFADDR, "lo")?[..8], [2, 0, 0, 0, 127, 0, 0, 1]);
    check_eq!(ask(libc::SIOCGIFNETMASK, "lo")?[4..8], [255, 0, 0, 0]);
    check_eq!(ask(libc::SIOCGIFMTU, "lo")?[..4], 65536_u32.to_ne_bytes());
    check_eq!(ask(libc::SIOCGIFHWADDR, "lo")?[..2], 772_u16.to_ne_bytes());
    check_eq!(ask(libc::SIOCGIFINDEX, "lo")?[..4], 1_u32.to_ne_bytes());
    check_fails!(ask(libc::SIOCGIFFLAGS, "nothing"), ENODEV);
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(ask(libc::SIOCSIFFLAGS, "lo"), EPERM);
        Ok(())
    })
}

fn settings_of_the_network_read_back() -> Outcome {
    check_eq!(read("/proc/sys/net/core/rmem_max")?, "212992\n");
    fresh()?;
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    check_eq!(read(path)?, "32768\t60999\n");
    std::fs::write(path, "40000 50000\n")?;
    check_eq!(read(path)?, "40000\t50000\n");
    check_fails!(std::fs::write(path, "50000 40000"), EINVAL);
    check_fails!(std::fs::write(path, "1 2 3"), EINVAL);
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    std::fs::write(path, "80")?;
    check_eq!(read(path)?, "80\n");
    check_fails!(std::fs::write(path, "70000"), EINVAL);
    check_eq!(read("/proc/sys/net/ipv4/ping_group_range")?, "1\t0\n");
    check_eq!(read("/proc/sys/net/ipv4/conf/all/forwarding")?, "0\n");
    Ok(())
}
