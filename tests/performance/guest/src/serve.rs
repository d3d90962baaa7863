//! Serving the host: what it measures over the network card, in real time.
//!
//! TCP and UDP port 7 send back what comes (RFC 862), TCP port 9 takes all that comes and then says how much it was, TCP port 19 sends
//! until the other side has enough (RFC 864).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use crate::machine;

/// Where QEMU's user network expects its guest.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const BLOCK: usize = 64 << 10;

/// Serves until the machine is ended from outside.
pub fn run() -> ! {
    if let Err(error) = machine::link_up("eth0", Some((ADDRESS, NETMASK))).and_then(|()| start()) {
        println!("bench: serve: {error}");
    } else {
        println!("bench: serving");
    }
    loop {
        thread::park();
    }
}

fn start() -> io::Result<()> {
    for (port, serve) in [(7, echo as Serve), (9, discard), (19, generate)] {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is the usual end.
                let _ended = serve(stream);
            }
        });
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 7))?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _lost = socket.send_to(&buffer[..len], from);
        }
    });
    Ok(())
}

type Serve = fn(TcpStream) -> io::Result<()>;

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 2048];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len])?;
    }
}

fn discard(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    let mut total = 0_u64;
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return stream.write_all(&total.to_be_bytes());
        }
        total += len as u64;
    }
}

fn generate(mut stream: TcpStream) -> io::Result<()> {
    let buffer = vec![3; BLOCK];
    loop {
        stream.write_all(&buffer)?;
    }
}
