//! [`Call`]: a request on its way to a verb, and the answers that verbs give.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use coffer_engine::Filters;
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Api;
use crate::body::{self, Body};
use crate::failure::Failure;

/// What a verb gives.
pub type Answer = Result<Response<Body>, Failure>;

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let number = |text: &str| if text.len() <= 4 { text.parse().map_err(|_| ()) } else { Err(()) };
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A request whose path has been understood.
#[derive(Debug)]
pub struct Call {
    pub api: Api,
    pub version: Version,
    pub headers: HeaderMap,
    pub query: Query,
    pub body: Incoming,
    /// Becomes the connection, if the client wants to take it over.
    pub upgrade: Option<OnUpgrade>,
}

impl Call {
    /// The body's JSON.
    ///
    /// # Errors
    ///
    /// See [`body::json`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        body::json(self.body).await
    }
}

/// The parameters behind the `?`.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes them.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter, if it is there and not empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next().filter(|value| !value.is_empty())
    }

    /// The same, as the engine takes it.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_owned)
    }

    /// All values of a parameter.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A yes or a no; what docker takes for no is no, also when it is absent.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        let no = ["", "0", "no", "false", "none"];
        self.all(key).next().is_some_and(|value| !no.contains(&value.trim().to_ascii_lowercase().as_str()))
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// 400 when it is something else.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>, Failure> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Failure::bad_request(format!("invalid value of parameter `{key}`: {text}")))
        };
        self.get(key).map(parse).transpose()
    }

    /// The parameter `filters`.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed.
    pub fn filters(&self) -> Result<Filters, Failure> {
        Ok(Filters::parse(self.get("filters"))?)
    }
}

/// 200 with JSON.
///
/// # Errors
///
/// 500 when there is no such JSON.
pub fn json<T: Serialize>(value: &T) -> Answer {
    json_with(StatusCode::OK, value)
}

/// JSON with another status.
///
/// # Errors
///
/// 500 when there is no such JSON.
pub fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let mut bytes = serde_json::to_vec(value).map_err(|error| Failure::internal(error.to_string()))?;
    bytes.push(b'\n');
    Ok(typed(status, "application/json", body::full(bytes)))
}

/// A body of some type.
#[must_use]
pub fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A status and nothing else.
///
/// # Errors
///
/// Never; verbs end with it.
pub fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(body::full(Bytes::new()));
    *response.status_mut() = status;
    Ok(response)
}
