//! Whether somebody is there, and which version of the API they speak

use http::{HeaderValue, Method, StatusCode, header};

use crate::body;
use crate::call::{Answer, typed};

pub fn ping(method: &Method) -> Answer {
    let text = if method == Method::HEAD { "" } else { "OK" };
    let mut response = typed(StatusCode::OK, "text/plain; charset=utf-8", body::full(text));
    let headers = response.headers_mut();
    if method == Method::HEAD {
        // hyper leaves it to us to say what the body would be; clients want it to be nothing.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // The builder without BuildKit; the client then does not look for a session.
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}
