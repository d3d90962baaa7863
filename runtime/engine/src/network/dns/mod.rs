//! The name server of containers on networks that users made, at 127.0.0.11 in each: it knows its container's neighbours, and asks the
//! machine's name servers for everything else.
//!
//! [`message`] reads questions and writes answers, [`directory`] knows the neighbours, [`forward`] asks others. Its sockets are in the container's
//! network namespace and belong to the engine; they go when the container ends, and the next engine opens them again.

mod directory;
mod forward;
mod message;

use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use runtime_network::resolver;
use rustix::process::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(super) use self::directory::names;
use self::message::Verdict;
use super::failed;
use crate::container::entry::Entry;
use crate::{Engine, Error};

pub(super) const ADDRESS: Ipv4Addr = resolver::ADDRESS;

/// How many questions of a container are under way at once. More wait in its sockets.
const AT_ONCE: usize = 64;
/// The longest question. Longer ones have no business here.
const LONGEST_QUESTION: usize = 4096;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// How long to wait after the kernel refused a socket something.
const PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Whether a container is on a network that users made, and so has a name server.
    pub(super) fn has_name_server(entry: &Entry) -> bool {
        entry.record().endpoints.keys().any(|network| !super::is_built_in(network))
    }

    /// Starts the name server of a running container, unless it has one.
    pub(crate) fn serve_names(&self, entry: &Arc<Entry>, pid: Pid) -> Result<(), Error> {
        let mut server = entry.name_server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.is_some() || !Self::has_name_server(entry) {
            return Ok(());
        }
        let (datagrams, connections) = resolver::open(pid).map_err(failed)?;
        let what = "serve names";
        let datagrams = UdpSocket::from_std(datagrams).map_err(Error::system(what))?;
        let connections = TcpListener::from_std(connections).map_err(Error::system(what))?;
        let asked = Arc::new(Asked { engine: self.clone(), container: entry.id.clone() });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_datagrams(Arc::clone(&asked), Arc::new(datagrams)));
        tasks.spawn(serve_connections(asked, connections));
        *server = Some(tasks);
        Ok(())
    }

    /// Ends it.
    pub(super) fn stop_names(entry: &Entry) {
        // Dropped, the tasks end and close the sockets, without which the namespace would stay.
        entry.name_server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whose neighbours are asked for.
#[derive(Debug)]
struct Asked {
    engine: Engine,
    container: String,
}

impl Asked {
    /// The answer to a question; None where none is due.
    async fn answer(&self, question: &[u8], is_stream: bool) -> Option<Vec<u8>> {
        let directory = self.engine.neighbours(&self.container);
        match message::judge(question, &directory) {
            Verdict::Answer(answer) => Some(answer),
            Verdict::Ignore => None,
            Verdict::Forward if directory.is_cut_off => message::failure(question),
            Verdict::Forward => {
                let servers = self.engine.name_servers(&self.container);
                match forward::ask(&servers, question, is_stream).await {
                    Some(answer) => Some(answer),
                    None => message::failure(question),
                }
            }
        }
    }
}

async fn serve_datagrams(asked: Arc<Asked>, socket: Arc<UdpSocket>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; LONGEST_QUESTION];
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let question = buffer.get(..len).unwrap_or_default().to_vec();
        let (asked, socket) = (Arc::clone(&asked), Arc::clone(&socket));
        tasks.spawn(async move {
            if let Some(answer) = asked.answer(&question, false).await {
                // Who asks a second time gets a second answer.
                let _ = socket.send_to(&message::fit(&question, answer), from).await;
            }
            drop(permit);
        });
    }
}

async fn serve_connections(asked: Arc<Asked>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let asked = Arc::clone(&asked);
        tasks.spawn(async move {
            serve_connection(&asked, stream).await;
            drop(permit);
        });
    }
}

/// Answers one question after the other; each message has its length before it (RFC 1035, section 4.2.2).
async fn serve_connection(asked: &Asked, mut stream: TcpStream) {
    loop {
        let exchange = async {
            let len = usize::from(stream.read_u16().await.ok()?);
            if len > LONGEST_QUESTION {
                return None;
            }
            let mut question = vec![0; len];
            stream.read_exact(&mut question).await.ok()?;
            let answer = asked.answer(&question, true).await?;
            stream.write_u16(u16::try_from(answer.len()).ok()?).await.ok()?;
            stream.write_all(&answer).await.ok()
        };
        if !matches!(tokio::time::timeout(SILENCE, exchange).await, Ok(Some(()))) {
            return;
        }
    }
}
