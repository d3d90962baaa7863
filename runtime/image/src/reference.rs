//! [`Reference`]: the name of an image, `[host[:port]/]path[:tag][@digest]`, written out as docker does.
//!
//! The grammar is that of the distribution project's `reference` package; a name without a host is on Docker Hub, and one
//! without a folder there is in `library`. Own code because the crates that parse references neither know docker's short forms
//! nor its error lines, which clients show as they are.

use std::fmt;

use oci_spec::image::Digest;

/// The registry of names that have none.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The folder of names on the default registry that have none.
const DEFAULT_FOLDER: &str = "library/";

/// The tag of names that have neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// The longest repository path, in bytes.
const PATH_LIMIT: usize = 255;

/// The longest tag, in bytes.
const TAG_LIMIT: usize = 128;

/// A name, written out: `docker.io/library/debian:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference; the lines are docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    #[error("invalid reference format: repository name must not be more than 255 characters")]
    TooLong,
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Hexadecimal(String),
}

impl Reference {
    /// Parses a name as a user writes it.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] with docker's words.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if is_hexadecimal(text, 64) {
            return Err(ReferenceError::Hexadecimal(text.to_owned()));
        }
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(parse_digest(digest).ok_or(ReferenceError::Format)?)),
            None => (text, None),
        };
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Format);
        }

        let (registry, path) = split_registry(name);
        let folder = if registry == DEFAULT_REGISTRY && !path.contains('/') { DEFAULT_FOLDER } else { "" };
        let path = format!("{folder}{path}");
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            // Docker shows the path with its folder, and only if the name is well otherwise.
            let is_well = is_path(&path.to_ascii_lowercase()) && is_host(registry);
            return Err(if is_well { ReferenceError::UpperCase(path) } else { ReferenceError::Format });
        }
        if !is_host(registry) || !is_path(&path) {
            return Err(ReferenceError::Format);
        }
        if path.len() > PATH_LIMIT {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { registry: registry.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }

    /// The host, perhaps with a port, of the registry.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path on the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same with tag `latest` if there is neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with this tag alone.
    ///
    /// # Errors
    ///
    /// [`ReferenceError::Format`] when it is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format);
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with this digest alone.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same without tag and digest.
    #[must_use]
    pub fn repository(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// Written as short as a user may: `debian:12`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let mut path = self.path.as_str();
        let mut registry = format!("{}/", self.registry);
        if self.registry == DEFAULT_REGISTRY {
            registry.clear();
            path = path.strip_prefix(DEFAULT_FOLDER).filter(|rest| !rest.contains('/')).unwrap_or(path);
        }
        format!("{registry}{path}{}", self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}"));
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}"));
        tag.unwrap_or_default() + &digest.unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.path, self.suffix())
    }
}

/// A sha256 or sha512 digest, which is what a reference may carry.
#[must_use]
pub fn parse_digest(text: &str) -> Option<Digest> {
    let length = match text.split_once(':')? {
        ("sha256", hex) => is_hexadecimal(hex, 64),
        ("sha512", hex) => is_hexadecimal(hex, 128),
        _ => false,
    };
    if length { text.parse().ok() } else { None }
}

/// The first component is a host when it looks like one.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DEFAULT_REGISTRY, path),
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Components of lower-case letters and digits, with `.`, `_`, `__` or dashes in between.
fn is_path(path: &str) -> bool {
    path.split('/').all(is_path_component)
}

fn is_path_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(|&byte| is_word(byte));
    if !ends_well(bytes.first()) || !ends_well(bytes.last()) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let Some((&first, rest)) = tag.as_bytes().split_first() else { return false };
    tag.len() <= TAG_LIMIT && is_word(first) && rest.iter().all(|&b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// Whether this is a number of so many lower-case hexadecimal digits.
pub(crate) fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "9b2a45d2e3b3a1b7d6e0f9f3a0c4bd1cf5b2f6c4d19a3e0fbd0c7a1f4a0b1c2d";

    #[test]
    fn names_are_written_out_as_docker_does() {
        for (text, whole, short) in [
            ("debian", "docker.io/library/debian", "debian"),
            ("debian:12", "docker.io/library/debian:12", "debian:12"),
            ("docker.io/debian", "docker.io/library/debian", "debian"),
            ("index.docker.io/library/debian", "docker.io/library/debian", "debian"),
            ("grafana/grafana:11.1", "docker.io/grafana/grafana:11.1", "grafana/grafana:11.1"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("quay.io/a/b__c-d.e", "quay.io/a/b__c-d.e", "quay.io/a/b__c-d.e"),
            ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (whole, short));
        }
        let digested = Reference::parse(&format!("debian:12@sha256:{HEX}")).unwrap();
        assert_eq!(digested.to_string(), format!("docker.io/library/debian:12@sha256:{HEX}"));
        assert_eq!(Reference::parse("debian").unwrap().or_latest().familiar(), "debian:latest");
    }

    #[test]
    fn what_is_no_name_gets_dockers_words() {
        for text in [
            "",
            "/",
            "a//b",
            "a:",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a:b:c",
            "a@sha256:12",
            "host.x:99999/a",
            "a b",
        ] {
            assert_eq!(Reference::parse(text), Err(ReferenceError::Format), "{text}");
        }
        let line = |text: &str| Reference::parse(text).unwrap_err().to_string();
        assert_eq!(
            line("Debian"),
            "invalid reference format: repository name (library/Debian) must be lowercase"
        );
        assert!(line(HEX).ends_with("cannot specify 64-byte hexadecimal strings"));
        assert!(line(&"a".repeat(256)).contains("255"));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_what_is_accepted_reads_back(text in "[a-zA-Z0-9:/@._-]{0,40}|.{0,20}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference.clone());
                prop_assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
            }
        }
    }
}
