//! `coffer proxy`: what `connect` leaves behind: a unix socket for docker, each of whose connections goes to the machine if the machine is, at that moment,
//! still the one that was accepted.
//!
//! At every connection the machine gives a quote for a new nonce, bound to its key; the quote and the logs are judged as `connect` did, and the API must have
//! that key as well. A connection that cannot be had gets an answer in docker's form, so that the client prints why.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::connection::{self, Connection, Record};
use crate::evidence::Host;
use crate::judging::{Judging, SMALL_FILE_LIMIT, read};
use crate::tls::{self, PATIENCE};

/// The longest head of a request that is read before it is refused.
const HEAD_LIMIT: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The connection's name.
    name: String,
    #[command(flatten)]
    judging: Judging,
}

/// What every connection is made by.
struct Way {
    record: Record,
    key: Vec<u8>,
    judging: Judging,
    tls: Arc<ClientConfig>,
}

pub fn main(arguments: &Arguments) -> anyhow::Result<()> {
    let connection = Connection::of(&arguments.name)?;
    let record = connection.record()?;
    let key = hex::decode(&record.key).context("the connection's record is damaged")?;
    let file = |name| read(&connection.path(name), SMALL_FILE_LIMIT);
    let tls = tls::pinned_server(&key, &file(connection::CERTIFICATE)?, &file(connection::KEY)?)?;
    let way = Arc::new(Way { record, key, judging: arguments.judging.clone(), tls });
    // The address of a unix socket is shorter than paths can be.
    std::env::set_current_dir(connection.folder()).context("cannot enter the connection's folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(connection::SOCKET).context("cannot make the socket")?;
        fs::set_permissions(connection::SOCKET, fs::Permissions::from_mode(0o600))?;
        connection.write_process()?;
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(tokio::spawn(serve(client, Arc::clone(&way)))),
                Err(error) => {
                    eprintln!("coffer: cannot accept a connection: {error}");
                    tokio::time::sleep(PATIENCE / 100).await;
                }
            }
        }
    })
}

async fn serve(mut client: UnixStream, way: Arc<Way>) {
    match open(&way).await {
        // What goes wrong from here on is for the two to see.
        Ok(mut machine) => drop(copy_bidirectional(&mut client, &mut machine).await),
        Err(error) => {
            eprintln!("coffer: {error:#}");
            let _ = timeout(PATIENCE, refuse(&mut client, &format!("coffer: {error:#}"))).await;
        }
    }
}

/// A connection to the API of a machine that was verified just now.
async fn open(way: &Arc<Way>) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let verified = {
        let way = Arc::clone(way);
        tokio::task::spawn_blocking(move || way.verify())
    };
    verified.await.context("the machine was not verified to the end")??;
    let (host, _) = way.record.api.rsplit_once(':').context("the API's address has no port")?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let connect = async {
        let socket = TcpStream::connect(&way.record.api).await?;
        socket.set_nodelay(true)?;
        TlsConnector::from(Arc::clone(&way.tls)).connect(name, socket).await
    };
    let connected = timeout(PATIENCE, connect).await.context("the API does not answer")?;
    connected
        .with_context(|| format!("cannot reach the API at {} with the key that was verified", way.record.api))
}

impl Way {
    /// Whether the machine is still the one that was accepted.
    fn verify(&self) -> anyhow::Result<()> {
        let host = Host { address: self.record.evidence.clone() };
        let (answer, verdict) = host.judge(&self.judging)?;
        ensure!(verdict.judgement.is_accepted(), "the machine is {}", verdict.judgement.verdict());
        ensure!(answer.key == self.key, "the machine has another TLS key than when it was connected");
        Ok(())
    }
}

/// Answers one request. It is read first, or the client would miss the answer.
async fn refuse(client: &mut UnixStream, message: &str) -> std::io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        match client.read(&mut piece).await? {
            0 => break,
            count => head.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let body = serde_json::json!({ "message": message }).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
