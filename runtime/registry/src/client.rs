//! [`Registries`]: what is known of registries, and HTTP to them.
//!
//! One connection a request: a pull makes a few requests for metadata and one for each layer, so connections that are kept save
//! little, and hyper's pool would be most of its dependencies.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Error;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the head of an answer may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How many redirections in a row are followed.
const MAX_REDIRECTIONS: usize = 8;

/// A registry that needs more than HTTPS with the usual authorities.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Host and perhaps port, as names of images have it.
    pub name: String,
    /// Authorities besides the usual ones.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Plain HTTP instead of HTTPS.
    pub is_http: bool,
}

/// All registries.
pub struct Registries {
    usual: Arc<ClientConfig>,
    /// By name; none speaks plain HTTP.
    known: BTreeMap<String, Option<Arc<ClientConfig>>>,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("known", &self.known.keys()).finish_non_exhaustive()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Registries {
    /// All registries, of which `known` need something.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] when an authority's certificate cannot be used.
    pub fn new(known: Vec<Registry>) -> Result<Self, Error> {
        let entry = |registry: Registry| {
            let tls = if registry.is_http { None } else { Some(tls(registry.authorities)?) };
            Ok((registry.name, tls))
        };
        Ok(Self {
            usual: tls(Vec::new())?,
            known: known.into_iter().map(entry).collect::<Result<_, Error>>()?,
        })
    }

    /// The registries that the configuration names, and whether plain HTTP is spoken with them; and docker's.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let known = self.known.iter().map(|(name, tls)| (name.as_str(), tls.is_none()));
        known.chain([("docker.io", false)])
    }

    /// Where the registry called `name` answers.
    pub(crate) fn base(&self, name: &str) -> String {
        let scheme = if matches!(self.known.get(name), Some(None)) { "http" } else { "https" };
        // Docker Hub's registry has another name than its images.
        let host = if name == "docker.io" { "registry-1.docker.io" } else { name };
        format!("{scheme}://{host}")
    }

    /// Sends a request that has no body, or a form; follows redirections, without the credentials if to another host.
    pub(crate) async fn send(
        &self,
        url: &str,
        mut headers: HeaderMap,
        form: Option<String>,
    ) -> Result<Response<Incoming>, Error> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTIONS {
            let response = self.send_once(&url, &headers, form.clone()).await?;
            let is_redirection = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(header::LOCATION).filter(|_| is_redirection);
            let Some(location) = location else { return Ok(response) };
            let location = location.to_str().unwrap_or_default();
            let next = resolve(&url, location)
                .ok_or_else(|| protocol(&url, format!("redirected to `{}`", location.escape_default())))?;
            if origin(&next) != origin(&url) {
                headers.remove(header::AUTHORIZATION);
            }
            url = next;
        }
        Err(protocol(&url, format!("stopped after {MAX_REDIRECTIONS} redirects")))
    }

    async fn send_once(
        &self,
        url: &str,
        headers: &HeaderMap,
        form: Option<String>,
    ) -> Result<Response<Incoming>, Error> {
        let uri: Uri = url.parse().map_err(|_| protocol(url, "not a URL".to_owned()))?;
        let authority = uri.authority().ok_or_else(|| protocol(url, "no host".to_owned()))?.clone();
        let stream = timeout(CONNECT_TIMEOUT, self.connect(url, &uri)).await;
        let stream = stream.map_err(|_| Error::TimedOut { url: url.to_owned(), what: "connection" })??;

        let http_error = |source| Error::Http { url: url.to_owned(), source };
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(http_error)?;
        // Ends with the answer's body, or when that is dropped; its error is the body's.
        tokio::spawn(connection);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::builder()
            .method(if form.is_some() { "POST" } else { "GET" })
            .uri(target)
            .header(header::HOST, authority.as_str())
            .header(header::USER_AGENT, concat!("coffer/", env!("CARGO_PKG_VERSION")));
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let mut request = request
            .body(Full::new(Bytes::from(form.unwrap_or_default())))
            .map_err(|error| protocol(url, error.to_string()))?;
        request.headers_mut().extend(headers.clone());
        let response = timeout(HEAD_TIMEOUT, sender.send_request(request)).await;
        response.map_err(|_| Error::TimedOut { url: url.to_owned(), what: "headers" })?.map_err(http_error)
    }

    async fn connect(&self, url: &str, uri: &Uri) -> Result<Box<dyn Stream>, Error> {
        let failed = |source| Error::Connect { url: url.to_owned(), source };
        let authority = uri.authority().ok_or_else(|| protocol(url, "no host".to_owned()))?;
        let known = self.known.get(authority.as_str());
        let is_http = uri.scheme_str() == Some("http");
        if is_http && !matches!(known, Some(None)) {
            return Err(protocol(
                url,
                "plain HTTP is spoken only with registries that the configuration names".to_owned(),
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_http { 80 } else { 443 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        if is_http {
            return Ok(Box::new(stream));
        }
        let tls = known.cloned().flatten().unwrap_or_else(|| Arc::clone(&self.usual));
        let name = ServerName::try_from(host).map_err(|error| failed(io::Error::other(error)))?;
        let stream =
            TlsConnector::from(tls).connect(name, stream).await.map_err(|error| failed(tls_error(error)))?;
        Ok(Box::new(stream))
    }
}

/// rustls's words are in an error of the kind `InvalidData`; what went wrong is in its source.
fn tls_error(error: io::Error) -> io::Error {
    let text = format!("tls: {error}");
    io::Error::new(error.kind(), text)
}

fn tls(authorities: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in authorities {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Reads a body that must not be longer than `limit`.
pub(crate) async fn read_limited(body: Incoming, what: &str, limit: u64) -> Result<Bytes, Error> {
    let length = usize::try_from(limit).unwrap_or(usize::MAX);
    let collected = timeout(HEAD_TIMEOUT, Limited::new(body, length).collect()).await;
    let collected =
        collected.map_err(|_| Error::TimedOut { url: what.to_owned(), what: "body" })?.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return Error::TooLarge { what: what.to_owned(), limit };
            }
            match error.downcast::<hyper::Error>() {
                Ok(source) => Error::Http { url: what.to_owned(), source: *source },
                Err(error) => protocol(what, error.to_string()),
            }
        })?;
    Ok(collected.to_bytes())
}

/// The error that an answer tells, by the codes of the distribution specification; `name` is the image as the user called it.
pub(crate) async fn refusal(response: Response<Incoming>, name: &str, repository: &str) -> Error {
    #[derive(Default, serde::Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = response.status();
    let body = read_limited(response.into_body(), "error", 64 << 10).await.unwrap_or_default();
    let errors: Errors = serde_json::from_slice(&body).unwrap_or_default();
    let first = errors.errors.into_iter().next();
    let (code, message) = first.map(|entry| (entry.code, entry.message)).unwrap_or_default();
    let words = code.to_ascii_lowercase().replace('_', " ");
    let message: String = message.chars().filter(|character| !character.is_control()).take(300).collect();
    let detail = format!("{words}: {message}");
    let (name, repository) = (name.to_owned(), repository.to_owned());
    match (code.as_str(), status) {
        ("MANIFEST_UNKNOWN", _) => Error::ManifestUnknown { name, detail },
        ("NAME_UNKNOWN", _) => Error::NameUnknown { name: repository, detail },
        ("DENIED", _) => Error::Denied { name: repository, detail },
        ("UNAUTHORIZED", _) => Error::Unauthorized(detail),
        (_, StatusCode::UNAUTHORIZED) => {
            Error::Unauthorized("unauthorized: authentication required".to_owned())
        }
        (_, StatusCode::FORBIDDEN) => {
            let detail = "denied: requested access to the resource is denied".to_owned();
            Error::Denied { name: repository, detail }
        }
        (_, StatusCode::NOT_FOUND) => {
            Error::ManifestUnknown { name, detail: "manifest unknown: manifest unknown".to_owned() }
        }
        _ => Error::Status { status, detail: if code.is_empty() { "no details".to_owned() } else { detail } },
    }
}

/// Where a redirection leads.
fn resolve(url: &str, location: &str) -> Option<String> {
    let from: Uri = url.parse().ok()?;
    let to: Uri = location.parse().ok()?;
    if to.scheme().is_some() {
        // Never from HTTPS to HTTP; whether HTTP may be spoken with that host is judged when connecting.
        let is_downgrade = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
        return if is_downgrade { None } else { Some(location.to_owned()) };
    }
    let path = location.starts_with('/').then_some(location)?;
    Some(format!("{}://{}{path}", from.scheme_str()?, from.authority()?))
}

fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_owned()))
}

pub(crate) fn protocol(url: &str, reason: String) -> Error {
    Error::Protocol { url: url.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_do_not_leave_https() {
        let to = |location| resolve("https://a.example/v2/x", location);
        assert_eq!(to("https://b.example/y").as_deref(), Some("https://b.example/y"));
        assert_eq!(to("/y?z").as_deref(), Some("https://a.example/y?z"));
        assert_eq!(to("http://a.example/y"), None);
        assert_eq!(to("//b.example/y").as_deref(), Some("https://a.example//b.example/y"));
        assert_eq!(to("ftp://a.example/y"), None);
    }

    #[test]
    fn http_is_for_registries_that_are_named() {
        let registry = Registry { name: "r.example:5000".to_owned(), authorities: Vec::new(), is_http: true };
        let registries = Registries::new(vec![registry]).unwrap();
        assert_eq!(registries.base("r.example:5000"), "http://r.example:5000");
        assert_eq!(registries.base("docker.io"), "https://registry-1.docker.io");
        assert_eq!(registries.base("r.example"), "https://r.example");
    }
}
