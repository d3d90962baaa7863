//! [`Credentials`]: who someone is to a registry, as docker's clients send it (`X-Registry-Auth`, `/auth`).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// The registry that an address without a name means.
const HUB: &str = "docker.io";

/// A name and password, or a token. Never stored and never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Credentials {
    username: String,
    password: String,
    /// `user:password` in base 64.
    auth: String,
    serveraddress: String,
    /// A refresh token, from which the token server makes others.
    identitytoken: String,
    /// A token for the registry itself.
    registrytoken: String,
}

impl Credentials {
    /// Whether they say nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.basic().is_none() && self.identitytoken.is_empty() && self.registrytoken.is_empty()
    }

    /// The host of the registry that they are for.
    #[must_use]
    pub fn registry(&self) -> String {
        let address = self.serveraddress.as_str();
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        match rest.split('/').next().unwrap_or_default() {
            "" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
            host => host.to_owned(),
        }
    }

    /// Name and password in the form of the `Authorization` header.
    #[must_use]
    pub fn basic(&self) -> Option<String> {
        if !self.username.is_empty() {
            return Some(BASE64_STANDARD.encode(format!("{}:{}", self.username, self.password)));
        }
        Some(self.auth.clone()).filter(|auth| !auth.is_empty())
    }

    pub(crate) fn identity_token(&self) -> Option<&str> {
        Some(self.identitytoken.as_str()).filter(|token| !token.is_empty())
    }

    pub(crate) fn registry_token(&self) -> Option<&str> {
        Some(self.registrytoken.as_str()).filter(|token| !token.is_empty())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("serveraddress", &self.serveraddress).finish_non_exhaustive()
    }
}
