//! [`Failure`]: an answer that is not the wanted one, `{"message": …}` with a status.

use bytes::Bytes;
use coffer_engine::Error;
use http::{Response, StatusCode, header};
use runtime_image::reference::ReferenceError;
use runtime_image::store::StoreError;

use crate::body::{self, Body};

/// A status and the line that the client shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub status: StatusCode,
    pub message: String,
}

impl Failure {
    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// Something that docker has and Coffer does not have.
    pub fn unsupported(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            message: format!("{what} is not supported by Coffer yet"),
        }
    }

    /// Something that should not happen.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let json = serde_json::json!({"message": self.message}).to_string() + "\n";
        let mut response = Response::new(body::full(Bytes::from(json)));
        *response.status_mut() = self.status;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, message: error.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, message: error.to_string() }
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        Self::bad_request(error.to_string())
    }
}
