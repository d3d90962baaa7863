//! [`Endpoint`]: what the machine is and runs, for whoever asks (docs/attestation.md, "From a machine"). Read-only, and the only thing that strangers
//! get an answer from: `GET /v1/evidence?nonce=…`.
//!
//! A quote costs the host: the machine makes one at a time and not too fast ([`Pace`]), and few may wait for one; strangers and containers have places of
//! their own, so that neither keeps the other out. On the network a quote is bound to the TLS
//! key of the connection; by a container's own socket, to that container's id ([`Sockets`]).

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attestation_evidence::report_data::{self, DATA_LIMIT, NONCE_LENGTH};
use coffer_engine::evidence::Attend;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use runtime_evidence::Machine;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::body::{self, Body};
use crate::call::{Answer, Query, json, typed};
use crate::failure::Failure;
use crate::serve::{self, Budget, Service};

/// Whether the machine is up, as docker's API has it.
const PING: &str = "/_ping";

/// The only other path.
const PATH: &str = "/v1/evidence";

/// The least time from one quote to the next.
const SPACING: Duration = Duration::from_millis(100);

/// How many strangers may wait for a quote, and how many containers.
const WAITING: usize = 16;

/// Answers those who ask for evidence.
#[derive(Clone, Debug)]
pub struct Endpoint {
    machine: Machine,
    subject: Subject,
    pace: Arc<Pace>,
}

/// What quotes are bound to, besides what was asked for.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The key of the connection (SubjectPublicKeyInfo).
    TlsKey(Arc<[u8]>),
    /// The container whose socket it is.
    Container([u8; 32]),
}

/// Who may ask for a quote now: one for the whole machine.
#[derive(Debug)]
pub struct Pace {
    turn: Semaphore,
    strangers: Semaphore,
    containers: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        let places = || Semaphore::new(WAITING);
        Self { turn: Semaphore::new(1), strangers: places(), containers: places() }
    }
}

impl Endpoint {
    /// One that shows this machine.
    #[must_use]
    pub fn new(machine: Machine, subject: Subject, pace: Arc<Pace>) -> Self {
        Self { machine, subject, pace }
    }

    async fn route(self, request: Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            let message = "evidence can be read only: GET".to_owned();
            return Err(Failure { status: StatusCode::METHOD_NOT_ALLOWED, message });
        }
        if request.uri().path() == PING {
            return Ok(typed(StatusCode::OK, "text/plain", body::full(&b"OK"[..])));
        }
        if request.uri().path() != PATH {
            return Err(Failure::not_found(format!("there is {PATH} only")));
        }
        let report_data = self.subject.report_data(&Query::parse(request.uri().query()))?;
        let places = match self.subject {
            Subject::TlsKey(_) => &self.pace.strangers,
            Subject::Container(_) => &self.pace.containers,
        };
        let Ok(_place) = places.try_acquire() else {
            let message = "too many ask for evidence: try again in a second".to_owned();
            return Err(Failure { status: StatusCode::TOO_MANY_REQUESTS, message });
        };
        // Never closed.
        let _turn = self.pace.turn.acquire().await;
        let next = Instant::now() + SPACING;
        let machine = self.machine.clone();
        let made = tokio::task::spawn_blocking(move || machine.evidence(&report_data)).await;
        sleep_until(next).await;
        match made {
            Ok(Ok(document)) => json(&document),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(error) => Err(Failure::internal(format!("the evidence was not made to its end: {error}"))),
        }
    }
}

fn unavailable(error: &runtime_evidence::Error) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure { status: StatusCode::SERVICE_UNAVAILABLE, message: format!("{error}{cause}") }
}

impl Service for Endpoint {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        // On its own: a client that goes away does not let the next one in before its time.
        let mut response = match tokio::spawn(self.route(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => failure.response(),
            Err(error) => {
                Failure::internal(format!("the request was not served to its end: {error}")).response()
            }
        };
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let second = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        let fresh = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, fresh);
        response
    }
}

impl Subject {
    /// What the request's quote is to have in it.
    fn report_data(&self, query: &Query) -> Result<[u8; 64], Failure> {
        match self {
            Self::TlsKey(key) => {
                let nonce: [u8; NONCE_LENGTH] = bytes(query, "nonce")
                    .and_then(|nonce| nonce.try_into().ok())
                    .ok_or_else(|| Failure::bad_request("`nonce` must be 64 hexadecimal digits"))?;
                Ok(report_data::fresh(&nonce, key))
            }
            Self::Container(id) => {
                let data = bytes(query, "data").and_then(|data| report_data::container(id, &data));
                data.ok_or_else(|| {
                    let most = 2 * DATA_LIMIT;
                    Failure::bad_request(format!("`data` must be at most {most} hexadecimal digits"))
                })
            }
        }
    }
}

/// A parameter that is there once, in hexadecimal.
fn bytes(query: &Query, key: &str) -> Option<Vec<u8>> {
    let mut values = query.all(key);
    let value = values.next()?;
    if values.next().is_some() { None } else { hex::decode(value).ok() }
}

/// The sockets of containers, each of which shows this machine to one container.
#[derive(Debug)]
pub struct Sockets {
    machine: Machine,
    pace: Arc<Pace>,
    runtime: Handle,
    served: Mutex<HashMap<String, AbortHandle>>,
}

impl Sockets {
    /// None yet. They are served by this runtime.
    #[must_use]
    pub fn new(machine: Machine, pace: Arc<Pace>, runtime: Handle) -> Self {
        Self { machine, pace, runtime, served: Mutex::default() }
    }

    fn served(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attend for Sockets {
    fn attend(&self, container: &str, socket: &Path) -> io::Result<()> {
        let id = hex::decode(container).ok().and_then(|id| id.try_into().ok());
        let id = id.ok_or(io::ErrorKind::InvalidInput)?;
        let endpoint = Endpoint::new(self.machine.clone(), Subject::Container(id), Arc::clone(&self.pace));
        // An earlier engine's.
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = {
            let _context = self.runtime.enter();
            UnixListener::bind(socket)?
        };
        // Any user in the container may ask; nobody outside of it reaches the file.
        fs::set_permissions(socket, Permissions::from_mode(0o666))?;
        let serving = self.runtime.spawn(serve::unix(listener, endpoint, Budget::CONTAINER));
        if let Some(earlier) = self.served().insert(container.to_owned(), serving.abort_handle()) {
            earlier.abort();
        }
        Ok(())
    }

    fn leave(&self, container: &str) {
        if let Some(serving) = self.served().remove(container) {
            serving.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_one_length_and_is_there_once() {
        let subject = Subject::TlsKey(Arc::from(&b"key"[..]));
        let nonce = "0f".repeat(32);
        let asked = |query: &str| subject.report_data(&Query::parse(Some(query)));
        assert_eq!(asked(&format!("nonce={nonce}")).unwrap(), report_data::fresh(&[0x0f; 32], b"key"));
        for query in ["", "nonce=", "nonce=0f", &format!("nonce={nonce}&nonce={nonce}"), "data=00"] {
            assert!(asked(query).is_err(), "{query}");
        }
    }

    #[test]
    fn data_of_a_container_is_bound_to_its_id() {
        let asked =
            |id: u8, query: &str| Subject::Container([id; 32]).report_data(&Query::parse(Some(query)));
        assert_eq!(asked(1, "data=0f").unwrap(), report_data::container(&[1; 32], &[0x0f]).unwrap());
        assert_ne!(asked(1, "data=0f").unwrap(), asked(2, "data=0f").unwrap());
        assert!(asked(1, "data=").is_ok());
        assert!(asked(1, &format!("data={}", "00".repeat(65))).is_err() && asked(1, "").is_err());
    }
}
