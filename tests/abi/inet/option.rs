//! Options of ip(7) and tcp(7) that servers set, and what they are at first.

use std::net::TcpListener;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{option_of, pair, set_option, stream_socket};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("inet":
    tcp_options_have_their_defaults,
    tcp_options_keep_what_is_set,
    tcp_options_check_their_values,
    ip_options_keep_what_is_set,
    sockets_tell_domain_type_and_protocol,
    buffer_sizes_double,
    tcp_info_tells_the_state,
    congestion_control_has_a_name,
    unknown_options_fail,
    kinds_and_protocols_are_checked,
);

fn tcp(socket: &impl std::os::fd::AsFd, name: i32) -> std::io::Result<i32> {
    option_of(socket, libc::IPPROTO_TCP, name)
}

fn tcp_options_have_their_defaults() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_eq!(tcp(&socket, libc::TCP_NODELAY)?, 0);
    check_eq!(tcp(&socket, libc::TCP_KEEPIDLE)?, 7200);
    check_eq!(tcp(&socket, libc::TCP_KEEPINTVL)?, 75);
    check_eq!(tcp(&socket, libc::TCP_KEEPCNT)?, 9);
    check_eq!(tcp(&socket, libc::TCP_SYNCNT)?, 6);
    check_eq!(tcp(&socket, libc::TCP_LINGER2)?, 60);
    check_eq!(tcp(&socket, libc::TCP_USER_TIMEOUT)?, 0);
    check_eq!(tcp(&socket, libc::TCP_MAXSEG)?, 536);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF)?, 16384);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?, 131_072);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR)?, 0);
    check_eq!(option_of(&socket, libc::IPPROTO_IP, libc::IP_TTL)?, 64);
    check_eq!(option_of(&socket, libc::IPPROTO_IP, libc::IP_TOS)?, 0);
    Ok(())
}

fn tcp_options_keep_what_is_set() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    for (name, value) in [
        (libc::TCP_NODELAY, 1),
        (libc::TCP_CORK, 1),
        (libc::TCP_KEEPIDLE, 30),
        (libc::TCP_KEEPINTVL, 5),
        (libc::TCP_KEEPCNT, 3),
        (libc::TCP_USER_TIMEOUT, 10_000),
        (libc::TCP_SYNCNT, 2),
        (libc::TCP_LINGER2, 20),
        (libc::TCP_NOTSENT_LOWAT, 65_536),
    ] {
        set_option(&socket, libc::IPPROTO_TCP, name, value)?;
        check_eq!((name, tcp(&socket, name)?), (name, value));
    }
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, 16)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 3)?;
    check!(tcp(&socket, libc::TCP_DEFER_ACCEPT)? >= 3);
    Ok(())
}

fn tcp_options_check_their_values() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(set_option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 0), EINVAL);
    check_fails!(set_option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 40_000), EINVAL);
    check_fails!(set_option(&socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 128), EINVAL);
    check_fails!(set_option(&socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, 10), EINVAL);
    check_fails!(set_option(&socket, libc::IPPROTO_IP, libc::IP_TTL, 256), EINVAL);
    check_fails!(set_option(&socket, libc::IPPROTO_IP, libc::IP_TTL, 0), EINVAL);
    // SAFETY: the value is shorter than the option's: the kernel must not take it.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), 6, 1, [1_u8; 2].as_ptr().cast(), 2) };
    check_eq!(result, -1);
    Ok(())
}

fn ip_options_keep_what_is_set() -> Outcome {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    for (name, value) in [
        (libc::IP_TTL, 17),
        (libc::IP_TOS, 0x10),
        (libc::IP_PKTINFO, 1),
        (libc::IP_RECVERR, 1),
        (libc::IP_RECVTTL, 1),
        (libc::IP_RECVTOS, 1),
        (libc::IP_FREEBIND, 1),
        (libc::IP_MTU_DISCOVER, 2),
        (libc::IP_MULTICAST_TTL, 9),
        (libc::IP_MULTICAST_LOOP, 0),
        (libc::IP_BIND_ADDRESS_NO_PORT, 1),
    ] {
        set_option(&socket, libc::IPPROTO_IP, name, value)?;
        check_eq!((name, option_of(&socket, libc::IPPROTO_IP, name)?), (name, value));
    }
    set_option(&socket, libc::SOL_SOCKET, libc::SO_MARK, 42)?;
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_MARK)?, 42);
    check_fails!(option_of(&socket, libc::IPPROTO_IP, libc::IP_MTU), ENOTCONN);
    Ok(())
}

fn sockets_tell_domain_type_and_protocol() -> Outcome {
    let stream = stream_socket(SockFlag::empty())?;
    check_eq!(option_of(&stream, libc::SOL_SOCKET, libc::SO_DOMAIN)?, libc::AF_INET);
    check_eq!(option_of(&stream, libc::SOL_SOCKET, libc::SO_TYPE)?, libc::SOCK_STREAM);
    check_eq!(option_of(&stream, libc::SOL_SOCKET, libc::SO_PROTOCOL)?, libc::IPPROTO_TCP);
    let datagram = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    check_eq!(option_of(&datagram, libc::SOL_SOCKET, libc::SO_PROTOCOL)?, libc::IPPROTO_UDP);
    Ok(())
}

fn buffer_sizes_double() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, 50_000)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 60_000)?;
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF)?, 100_000);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?, 120_000);
    Ok(())
}

fn tcp_info_tells_the_state() -> Outcome {
    let state = |socket: &dyn AsRawFd| {
        let mut info = [0_u8; 104];
        let mut len = info.len() as libc::socklen_t;
        // SAFETY: both point to live locals, and the length is the buffer's.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        (result, len, info[0])
    };
    let socket = stream_socket(SockFlag::empty())?;
    check_eq!(state(&socket), (0, 104, 7));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    check_eq!(state(&listener), (0, 104, 10));
    let (left, right) = pair()?;
    check_eq!(state(&left), (0, 104, 1));
    left.shutdown(std::net::Shutdown::Write)?;
    crate::child::until("the peer knows", || Ok(state(&right) == (0, 104, 8)))?;
    crate::child::until("the peer's acknowledgement", || Ok(state(&left) == (0, 104, 5)))?;
    right.shutdown(std::net::Shutdown::Write)?;
    crate::child::until("the end", || Ok(state(&left) == (0, 104, 7) && state(&right) == (0, 104, 7)))?;
    Ok(())
}

fn congestion_control_has_a_name() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    let mut name = [0_u8; 16];
    let mut len = name.len() as libc::socklen_t;
    // SAFETY: both point to live locals, and the length is the buffer's.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    check_eq!((result, len), (0, 16));
    check!(name.iter().all(|byte| *byte == 0 || byte.is_ascii_lowercase()) && name[0] != 0);
    let set = |name: &[u8]| {
        // SAFETY: the kernel only reads the name.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_CONGESTION,
                name.as_ptr().cast(),
                name.len() as u32,
            )
        }
    };
    check_eq!(set(b"reno"), 0);
    check_eq!(set(b"nonsense"), -1);
    Ok(())
}

fn unknown_options_fail() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(option_of(&socket, libc::SOL_SOCKET, 9999), ENOPROTOOPT);
    check_fails!(set_option(&socket, libc::SOL_SOCKET, 9999, 1), ENOPROTOOPT);
    check_fails!(option_of(&socket, libc::IPPROTO_TCP, 9999), ENOPROTOOPT);
    check_fails!(set_option(&socket, libc::IPPROTO_TCP, 9999, 1), ENOPROTOOPT);
    check_fails!(option_of(&socket, libc::IPPROTO_IP, 9999), ENOPROTOOPT);
    check_fails!(set_option(&socket, libc::IPPROTO_IP, 9999, 1), ENOPROTOOPT);
    check_fails!(set_option(&socket, 9999, 1, 1), ENOPROTOOPT);
    check_fails!(option_of(&socket, 9999, 1), EOPNOTSUPP);
    Ok(())
}

fn kinds_and_protocols_are_checked() -> Outcome {
    let call = |kind: i32, protocol: i32| {
        crate::raw::harmless(libc::SYS_socket, [libc::AF_INET as usize, kind as usize, protocol as usize])
            .map(|fd| nix::unistd::close(fd as i32))
    };
    check_fails!(call(libc::SOCK_STREAM, libc::IPPROTO_UDP), EPROTONOSUPPORT);
    check_fails!(call(libc::SOCK_DGRAM, libc::IPPROTO_TCP), EPROTONOSUPPORT);
    check_fails!(call(libc::SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    check!(call(libc::SOCK_STREAM, libc::IPPROTO_TCP).is_ok());
    let mut fds = [0; 2];
    // SAFETY: there is room for two descriptors.
    let result = unsafe { libc::socketpair(libc::AF_INET, libc::SOCK_STREAM, 0, fds.as_mut_ptr()) };
    check_eq!((result, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EOPNOTSUPP)));
    Ok(())
}
