//! A container's program that proves to its clients what it is: it hands their questions on to the machine's socket for evidence, by HTTP on port 8080.
//! First, it says words on its standard output and error that must get nowhere.
#![forbid(unsafe_code)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

const SOCKET: &str = "/run/coffer/evidence.sock";

fn main() -> ExitCode {
    println!("WORDS-OF-A-SEALED-CONTAINER");
    eprintln!("WORDS-OF-A-SEALED-CONTAINER");
    let listener = match TcpListener::bind("0.0.0.0:8080") {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    for client in listener.incoming().flatten() {
        if let Err(error) = serve(client) {
            eprintln!("cannot serve: {error}");
        }
    }
    ExitCode::SUCCESS
}

/// One request and its answer, as they are.
fn serve(mut client: TcpStream) -> std::io::Result<()> {
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match client.read(&mut piece)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&piece[..count]),
        }
    }
    let mut answer = Vec::new();
    match UnixStream::connect(SOCKET) {
        Ok(mut machine) => {
            machine.write_all(&request)?;
            machine.read_to_end(&mut answer)?;
        }
        Err(error) => answer = format!("HTTP/1.1 502 {error}\r\n\r\n").into_bytes(),
    }
    client.write_all(&answer)?;
    client.shutdown(Shutdown::Both)
}
