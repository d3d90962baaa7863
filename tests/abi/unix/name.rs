//! Named sockets: bind, listen, connect, accept.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use nix::sys::socket::{getsockopt, sockopt};

use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("unix":
    a_server_answers_its_clients,
    a_bound_name_is_a_socket_file,
    connecting_to_nothing_fails,
    a_name_can_be_bound_once,
    abstract_names_need_no_file,
    accept_blocks_until_somebody_connects,
    a_nonblocking_accept_fails_with_eagain,
    peer_credentials_name_the_other_process,
    socket_options_read_back,
    datagrams_find_their_name,
    an_unsupported_family_fails_with_eafnosupport,
);

fn a_server_answers_its_clients() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    let clients = (0..5_u8)
        .map(|id| {
            child::fork(move || {
                let Ok(mut stream) = UnixStream::connect("socket") else { return 1 };
                let mut answer = [0];
                let is_fine = stream.write_all(&[id]).is_ok() && stream.read_exact(&mut answer).is_ok();
                i32::from(!is_fine || answer != [id + 100])
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..5 {
        let (mut stream, _) = listener.accept()?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        stream.write_all(&[byte[0] + 100])?;
    }
    for client in clients {
        check_eq!(client.exit_code()?, 0);
    }
    Ok(())
}

fn a_bound_name_is_a_socket_file() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    check!(std::fs::metadata("socket")?.file_type().is_socket());
    check_eq!(listener.local_addr()?.as_pathname(), Some(std::path::Path::new("socket")));
    check_fails!(std::fs::File::open("socket"), ENXIO);
    let client = UnixStream::connect("socket")?;
    check_eq!(client.peer_addr()?.as_pathname(), Some(std::path::Path::new("socket")));
    check!(client.local_addr()?.is_unnamed());
    Ok(())
}

fn connecting_to_nothing_fails() -> Outcome {
    check_fails!(UnixStream::connect("missing"), ENOENT);
    drop(UnixListener::bind("socket")?);
    check_fails!(UnixStream::connect("socket"), ECONNREFUSED);
    std::fs::write("file", "")?;
    check_fails!(UnixStream::connect("file"), ECONNREFUSED);
    Ok(())
}

fn a_name_can_be_bound_once() -> Outcome {
    let _listener = UnixListener::bind("socket")?;
    check_fails!(UnixListener::bind("socket"), EADDRINUSE);
    std::fs::remove_file("socket")?;
    let _second = UnixListener::bind("socket")?;
    Ok(())
}

fn abstract_names_need_no_file() -> Outcome {
    let address = SocketAddr::from_abstract_name(format!("coffer-{}", std::process::id()))?;
    let listener = UnixListener::bind_addr(&address)?;
    check_fails!(UnixListener::bind_addr(&address), EADDRINUSE);
    let mut client = UnixStream::connect_addr(&address)?;
    client.write_all(b"x")?;
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut [0])?;
    drop(listener);
    check_fails!(UnixStream::connect_addr(&address), ECONNREFUSED);
    Ok(())
}

fn accept_blocks_until_somebody_connects() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    let child = child::fork(|| i32::from(listener.accept().is_err()))?;
    child.until_asleep()?;
    let _client = UnixStream::connect("socket")?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn a_nonblocking_accept_fails_with_eagain() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    listener.set_nonblocking(true)?;
    check_fails!(listener.accept(), EAGAIN);
    let client = UnixStream::connect("socket")?;
    let (stream, _) = listener.accept()?;
    drop(client);
    check_eq!((&stream).read(&mut [0])?, 0);
    Ok(())
}

fn peer_credentials_name_the_other_process() -> Outcome {
    let (left, _right) = UnixStream::pair()?;
    let credentials = getsockopt(&left, sockopt::PeerCredentials)?;
    check_eq!((credentials.pid(), credentials.uid()), (std::process::id().cast_signed(), 0));
    Ok(())
}

fn socket_options_read_back() -> Outcome {
    let (left, _right) = UnixStream::pair()?;
    check_eq!(getsockopt(&left, sockopt::SockType)?, nix::sys::socket::SockType::Stream);
    check_eq!(getsockopt(&left, sockopt::SocketError)?, 0);
    check!(getsockopt(&left, sockopt::SndBuf)? > 1000);
    check!(!getsockopt(&left, sockopt::AcceptConn)?);
    check!(getsockopt(&UnixListener::bind("socket")?, sockopt::AcceptConn)?);
    let number = left.as_raw_fd().unsigned_abs() as usize;
    check_fails!(crate::raw::harmless(libc::SYS_getsockopt, [number, 1, 0x7777, 0, 0]), EFAULT);
    let file = std::fs::File::create("file")?;
    let number = file.as_raw_fd().unsigned_abs() as usize;
    check_fails!(crate::raw::harmless(libc::SYS_listen, [number, 1]), ENOTSOCK);
    Ok(())
}

fn datagrams_find_their_name() -> Outcome {
    let server = UnixDatagram::bind("server")?;
    let client = UnixDatagram::bind("client")?;
    client.send_to(b"question", "server")?;
    let mut buffer = [0; 16];
    let (count, from) = server.recv_from(&mut buffer)?;
    check_eq!(count, 8);
    let from =
        from.as_pathname().map(std::path::Path::to_path_buf).ok_or_else(|| Failure::wrong("no sender"))?;
    check_eq!(from, std::path::PathBuf::from("client"));
    server.send_to(b"answer", from)?;
    check_eq!(client.recv(&mut buffer)?, 6);
    check_fails!(client.send_to(b"x", "missing"), ENOENT);
    Ok(())
}

fn an_unsupported_family_fails_with_eafnosupport() -> Outcome {
    check_fails!(crate::raw::harmless(libc::SYS_socket, [200, 1, 0]), EAFNOSUPPORT);
    check_fails!(crate::raw::harmless(libc::SYS_socket, [1, 99, 0]), EINVAL);
    Ok(())
}
