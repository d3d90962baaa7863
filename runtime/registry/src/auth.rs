//! Answering challenges: basic authentication, and tokens from the server that a registry names.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>; the parts of a challenge are those of RFC 9110, section 11.

use std::sync::Mutex;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::client::{protocol, read_limited};
use crate::{Credentials, Error, Registries};

/// The longest answer of a token server, in bytes.
const TOKEN_LIMIT: u64 = 1 << 20;

/// Requests to one repository by one user.
#[derive(Debug)]
pub struct Session<'a> {
    registries: &'a Registries,
    credentials: Option<&'a Credentials>,
    /// What tokens are asked for: `repository:library/debian:pull`.
    scope: String,
    /// The `Authorization` that was taken last.
    authorization: Mutex<Option<HeaderValue>>,
}

/// What a registry demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl<'a> Session<'a> {
    pub fn new(registries: &'a Registries, credentials: Option<&'a Credentials>, scope: String) -> Self {
        let token = credentials.and_then(Credentials::registry_token);
        let authorization = token.and_then(|token| value("Bearer", token));
        Self { registries, credentials, scope, authorization: Mutex::new(authorization) }
    }

    /// Sends a request; if the registry demands authentication, answers and sends it again.
    pub async fn get(&self, url: &str, headers: &HeaderMap) -> Result<Response<Incoming>, Error> {
        let response = self.registries.send(url, self.authorized(headers), None).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            challenges.iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
        let Some(authorization) = self.answer(url, &challenges).await? else { return Ok(response) };
        *self.lock() = Some(authorization);
        self.registries.send(url, self.authorized(headers), None).await
    }

    fn authorized(&self, headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        if let Some(authorization) = self.lock().clone() {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        headers
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A token is preferred to sending the password again and again.
    async fn answer(&self, url: &str, challenges: &[Challenge]) -> Result<Option<HeaderValue>, Error> {
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        match bearer.or_else(|| challenges.first()) {
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = scope.as_deref().unwrap_or(&self.scope);
                let token = self.token(realm, service.as_deref(), scope).await?;
                Ok(value("Bearer", &token))
            }
            Some(Challenge::Basic) => match self.credentials.and_then(Credentials::basic) {
                Some(basic) => Ok(value("Basic", &basic)),
                None => Err(Error::NoCredentials(url.to_owned())),
            },
            None => Ok(None),
        }
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            token: String,
            #[serde(default)]
            access_token: String,
        }
        let mut headers = HeaderMap::new();
        let identity = self.credentials.and_then(Credentials::identity_token);
        let query = token_query(service, scope, identity);
        let response = if identity.is_some() {
            self.registries.send(realm, headers, Some(query)).await?
        } else {
            if let Some(basic) =
                self.credentials.and_then(Credentials::basic).and_then(|basic| value("Basic", &basic))
            {
                headers.insert(header::AUTHORIZATION, basic);
            }
            let separator = if realm.contains('?') { '&' } else { '?' };
            self.registries.send(&format!("{realm}{separator}{query}"), headers, None).await?
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(Error::Unauthorized("unauthorized: incorrect username or password".to_owned()));
            }
            status => {
                return Err(Error::Status { status, detail: format!("from token server {realm}") });
            }
        }
        let body = read_limited(response.into_body(), realm, TOKEN_LIMIT).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| protocol(realm, format!("token server: {error}")))?;
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() {
            Err(protocol(realm, "token server gave no token".to_owned()))
        } else {
            Ok(token)
        }
    }
}

impl Registries {
    /// Tries credentials at a registry.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`], or what goes wrong on the way.
    pub async fn log_in(&self, registry: &str, credentials: &Credentials) -> Result<(), Error> {
        let session = Session::new(self, Some(credentials), String::new());
        let response = session.get(&format!("{}/v2/", self.base(registry)), &HeaderMap::new()).await?;
        match response.status() {
            StatusCode::OK => Ok(()),
            _ => Err(crate::client::refusal(response, registry, registry).await),
        }
    }
}

/// What a token server is asked; with a refresh token it is a form of OAuth 2.
fn token_query(service: Option<&str>, scope: &str, identity: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(service.map(|service| ("service", service)));
    if !scope.is_empty() {
        query.append_pair("scope", scope);
    }
    if let Some(identity) = identity {
        query.append_pair("grant_type", "refresh_token");
        query.append_pair("refresh_token", identity);
        query.append_pair("client_id", "coffer");
    }
    query.finish()
}

fn value(scheme: &str, token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The challenges of one header: a scheme, then parameters with commas in between; several may follow each other.
pub fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        let (scheme, after) = rest.split_at(end);
        let mut parameters = Vec::new();
        rest = after;
        while let Some((name, parameter, after)) = parameter(rest) {
            parameters.push((name.to_ascii_lowercase(), parameter));
            rest = after;
        }
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        match (scheme.to_ascii_lowercase().as_str(), get("realm")) {
            ("bearer", Some(realm)) => {
                challenges.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
            }
            ("basic", _) => challenges.push(Challenge::Basic),
            _ => {}
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
        if rest.len() == after.len() && !after.is_empty() && scheme.is_empty() {
            return challenges;
        }
    }
    challenges
}

/// `name=value` or `name="value"` at the start, behind commas and spaces; and what follows.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', ',', '\t']);
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return None;
    }
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        return Some((name, value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(parse(hub), std::slice::from_ref(&bearer));
        assert_eq!(parse("Basic realm=\"x\""), [Challenge::Basic]);
        assert_eq!(parse(&format!("Basic realm=\"x, y\", {hub}")), [Challenge::Basic, bearer]);
        assert_eq!(parse("Negotiate, basic"), [Challenge::Basic]);
        assert_eq!(parse("Bearer realm=\"open"), []);
    }

    proptest! {
        #[test]
        fn any_header_is_judged(text in "[ -~]{0,60}|((Basic|Bearer|,| |=|\"|realm|\\\\|x){0,20})") {
            let _ = parse(&text);
        }
    }
}
