//! Asking the machine's name servers what no container is called.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::message::is_answer;

/// How long a server has.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_DATAGRAM: usize = 4096;

/// Asks one server after the other, in the way in which the question came; gives the first answer, as it is.
pub async fn ask(servers: &[SocketAddr], question: &[u8], is_stream: bool) -> Option<Vec<u8>> {
    for server in servers {
        let answer = async {
            if is_stream { by_stream(*server, question).await } else { by_datagram(*server, question).await }
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, answer).await {
            return Some(answer);
        }
    }
    None
}

/// A socket of its own for each question, so that its port is one of many and an answer by somebody else has to guess it (RFC 5452).
async fn by_datagram(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; LONGEST_DATAGRAM];
    loop {
        let len = socket.recv(&mut answer).await?;
        let received = answer.get(..len).unwrap_or_default();
        if is_answer(question, received) {
            return Ok(received.to_vec());
        }
    }
}

async fn by_stream(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_u16(len).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if is_answer(question, &answer) { Ok(answer) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::dns::message::failure;

    /// A question for the address of `a`.
    const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";

    #[tokio::test]
    async fn who_does_not_answer_is_followed_by_the_next_and_strays_are_passed_over() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let answer = failure(QUESTION).unwrap();
        let sent = answer.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            let (_, from) = server.recv_from(&mut buffer).await.unwrap();
            let mut stray = sent.clone();
            stray[1] ^= 1;
            server.send_to(&stray, from).await.unwrap();
            server.send_to(&sent, from).await.unwrap();
        });
        // Nobody listens at the first.
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(ask(&[closed, address], QUESTION, false).await, Some(answer));
        assert_eq!(ask(&[], QUESTION, false).await, None);
    }
}
